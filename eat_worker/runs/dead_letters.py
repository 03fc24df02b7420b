"""Documents that failed for good: looked at, handed out, put back into the queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from eat_worker.errors import ConfigurationError
from eat_worker.method.document import Document
from eat_worker.runs.opening import is_new, open_existing
from eat_worker.settings import Settings
from eat_worker.storage.values import Attempt, DeadLetter


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter with the story of its attempts."""

    letter: DeadLetter
    history: tuple[Attempt, ...]


def list_dead(settings: Settings, run: str | None = None) -> Iterator[DeadLetter]:
    """The dead letters of all runs or of one, in the order they came. Raises NotFound."""
    if run is None and is_new(settings):
        return
    with open_existing(settings) as store:
        yield from store.operating.iter_dead(run)


def show_dead(settings: Settings, document: str) -> Dead:
    """The dead letter of a document, named by its number or its id. Raises NotFound when it has not failed."""
    with open_existing(settings) as store:
        found = store.reading.dossier(document)
        return Dead(store.operating.get_dead(found.document_id), found.attempts)


def reopen(settings: Settings, documents: Sequence[int] = (), *, run: str | None = None) -> int:
    """Put these failed documents back into the queue, or all of a run; how many.

    Stored rounds are not asked again. Raises NotFound, EatError when the run is cancelled, ConfigurationError when
    neither is named.
    """
    if bool(documents) == (run is not None):
        raise ConfigurationError("name documents by their numbers, or a run: --run NAME")
    with open_existing(settings) as store:
        return store.operating.reopen(documents) if run is None else store.operating.reopen_failed(run)


def to_json(letter: DeadLetter) -> dict[str, Any]:
    """As documented for `eat dead list --json`."""
    return {
        "document": letter.document_id,
        "id": letter.document.ext_id,
        "run": letter.run,
        "stage": str(letter.stage),
        "code": letter.code,
        "message": letter.error,
        "attempts": letter.attempts,
        "failed_at": datetime.fromtimestamp(letter.finished_at, UTC).isoformat(timespec="seconds"),
    }


def to_record(letter: DeadLetter) -> dict[str, Any]:
    """The record as it was submitted, with what went wrong: `eat submit` takes it, and keeps `failure` in its meta."""
    return {**_record(letter.document), "failure": to_json(letter)}


def _record(document: Document) -> dict[str, Any]:
    known = {
        "id": document.ext_id,
        "text": document.text,
        "lang": document.lang,
        "dataset": document.dataset or None,
        "entities": None if document.gold is None else [asdict(entity) for entity in document.gold],
        "meta": {name: value for name, value in document.meta.items() if name != "failure"} or None,
    }
    return {name: value for name, value in known.items() if value is not None}
