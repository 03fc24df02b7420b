"""How far runs are: counts by SQL, never by the length of a queue."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from eat_worker.runs.opening import is_new, open_existing
from eat_worker.settings import Settings
from eat_worker.storage.values import ENDED, STATUSES, Backlog, RunStatus


@dataclass(frozen=True, slots=True)
class RunProgress:
    """One run: how many documents are in which status, and how fast it goes."""

    run: str
    state: str
    priority: int
    lang: str
    dataset: str
    fingerprint: str
    #: By status; every status is named.
    documents: Mapping[str, int]
    #: Failed documents by error code.
    failures: Mapping[str, int]
    rounds: int
    generated_tokens: int
    seconds_generating: float
    #: Seconds since the epoch, as all instants here.
    created_at: float
    first_started_at: float | None
    last_finished_at: float | None
    #: By the wall clock since the first document began; None before one has ended.
    documents_per_second: float | None
    #: None when nothing is left or it is unknown.
    seconds_left: float | None

    @property
    def total(self) -> int:
        """All documents of the run."""
        return sum(self.documents.values())

    @property
    def ended(self) -> int:
        """Documents that will not change any more."""
        return sum(self.documents[status] for status in ENDED)

    def to_json(self) -> dict[str, Any]:
        """The run as documented for `eat status --json`; instants in ISO 8601."""
        plain = asdict(self)
        for name in ("created_at", "first_started_at", "last_finished_at"):
            plain[name] = iso(plain[name])
        return plain


def status(settings: Settings, run: str | None = None) -> list[RunProgress]:
    """Every run, the newest last, or the one named (the beginning of a name will do). Raises NotFound."""
    if run is None and is_new(settings):
        return []
    with open_existing(settings) as store:
        run_id = None if run is None else store.runs.get_run(run).id
        return [_progress(one, time.time()) for one in store.reading.run_status(run_id)]


def backlog(settings: Settings) -> dict[str, Any]:
    """What all open runs still have to do, as documented for `eat status --json`."""
    if is_new(settings):
        return asdict(Backlog(queued=0, running=0, dead_letters=0, oldest_age_seconds=0.0, seconds=0.0))
    with open_existing(settings) as store:
        return asdict(store.operating.backlog())


def _progress(status_: RunStatus, now: float) -> RunProgress:
    documents = {name: status_.documents.get(name, 0) for name in STATUSES}
    ended = sum(documents[name] for name in ENDED)
    left = sum(documents.values()) - ended
    until = now if left else status_.last_finished_at
    elapsed = (until or now) - status_.first_started_at if status_.first_started_at else 0.0
    speed = ended / elapsed if ended and elapsed > 0 else None
    spec = status_.run.spec
    return RunProgress(
        run=spec.name,
        state=status_.run.state,
        priority=status_.run.priority,
        lang=spec.lang,
        dataset=spec.dataset,
        fingerprint=spec.fingerprint,
        documents=documents,
        failures=dict(status_.failures),
        rounds=status_.rounds,
        generated_tokens=status_.generated_tokens,
        seconds_generating=status_.seconds_generating,
        created_at=status_.run.created_at,
        first_started_at=status_.first_started_at,
        last_finished_at=status_.last_finished_at,
        documents_per_second=speed,
        seconds_left=left / speed if left and speed else None,
    )


def iso(instant: float | None) -> str | None:
    """An instant in seconds since the epoch as ISO 8601, UTC, to the second; None stays None."""
    return None if instant is None else datetime.fromtimestamp(instant, UTC).isoformat(timespec="seconds")
