"""The annotations of a run as records of a file, in the order in which its documents were submitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from eat_worker.runs.opening import open_existing
from eat_worker.runs.records import Record, entities_and_ledger
from eat_worker.settings import Settings
from eat_worker.storage.values import Annotated, Run

ANNOTATED = ("done", "skipped")


@dataclass(frozen=True, slots=True)
class Export:
    """A run's records, one per document that is done or was skipped; `others` counts the rest by status."""

    run: str
    others: Mapping[str, int]
    records: Iterator[Record]


@contextmanager
def open_export(settings: Settings, run: str) -> Iterator[Export]:
    """The records of a run, read page by page: workers may go on meanwhile. Raises NotFound.

    A record has nothing that differs between two runs with the same answers but `run` and `fingerprint`, the name and
    the settings under which it was made.
    """
    with open_existing(settings) as store:
        status = store.reading.run_status(store.runs.get_run(run).id)[0]
        others = {name: count for name, count in status.documents.items() if count and name not in ANNOTATED}
        found = store.reading.iter_annotations(status.run.id)
        yield Export(status.run.spec.name, others, (_record(status.run, annotated) for annotated in found))


def _record(run: Run, annotated: Annotated) -> Record:
    document = annotated.document
    entities, ledger = entities_and_ledger(document.text, annotated.alignments)
    return {
        "id": document.ext_id,
        "text": document.text,
        "lang": document.lang,
        "dataset": document.dataset or None,
        "entities": entities,
        "english": annotated.english,
        "back_translation": annotated.back_translation,
        "skipped": annotated.skipped,
        "ledger": ledger,
        "meta": dict(document.meta),
        "run": run.spec.name,
        "fingerprint": run.spec.fingerprint,
    }
