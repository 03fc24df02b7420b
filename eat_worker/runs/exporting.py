"""The annotations of a run as records of a file, in the order in which its documents were submitted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from eat_worker.runs.opening import open_existing
from eat_worker.runs.progress import iso
from eat_worker.runs.records import Record, entities_and_ledger
from eat_worker.settings import Settings
from eat_worker.storage.values import Annotated, Review, Run

ANNOTATED = ("done", "skipped")
KINDS = ("low", "unaligned")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which documents are wanted; without a choice, all.

    `only` names kinds, one of which must fit: `low`, an entity of a confidence below `below`; `unaligned`, an English
    entity that found no words. `reviewed`: only those with a review, with its entities in place of the model's.
    """

    only: tuple[str, ...] = ()
    below: float = 0.5
    reviewed: bool = False

    def takes(self, record: Record) -> bool:
        """Whether the record is wanted."""
        if self.reviewed and "review" not in record:
            return False
        return not self.only or any(self._fits(kind, record["ledger"]) for kind in self.only)

    def _fits(self, kind: str, ledger: Iterable[Record]) -> bool:
        if kind == "unaligned":
            return any(line["start"] is None for line in ledger)
        return any(line["confidence"] is not None and line["confidence"] < self.below for line in ledger)


@dataclass(slots=True)
class Export:
    """A run's records, one per document that is done or was skipped; `others` counts the rest by status.

    `passed_over` counts, while the records are read, the documents that the choice leaves out.
    """

    run: str
    others: Mapping[str, int]
    records: Iterator[Record] = field(default_factory=lambda: iter(()))
    passed_over: int = 0

    def choose(self, run: Run, found: Iterable[Annotated], choice: Choice) -> None:
        """Take these documents for records, as far as they are wanted."""
        self.records = self._chosen(run, found, choice)

    def _chosen(self, run: Run, found: Iterable[Annotated], choice: Choice) -> Iterator[Record]:
        for annotated in found:
            record = _record(run, annotated)
            if choice.reviewed and annotated.review:
                record |= _corrected(annotated.document.text, annotated.review)
            if choice.takes(record):
                yield record
            else:
                self.passed_over += 1


@contextmanager
def open_export(settings: Settings, run: str, choice: Choice | None = None) -> Iterator[Export]:
    """The records of a run, read page by page: workers may go on meanwhile. Raises NotFound.

    A record has nothing that differs between two runs with the same answers but `run` and `fingerprint`, the name and
    the settings under which it was made.
    """
    with open_existing(settings) as store:
        status = store.reading.run_status(store.runs.get_run(run).id)[0]
        others = {name: count for name, count in status.documents.items() if count and name not in ANNOTATED}
        export = Export(status.run.spec.name, others)
        export.choose(status.run, store.reading.iter_annotations(status.run.id), choice or Choice())
        yield export


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


def _corrected(text: str, review: Review) -> Record:
    """What of a record a review replaces or adds; the ledger stays the model's."""
    unknown = {"english": None, "via": "review", "confidence": None}
    entities = [
        {"start": one.start, "end": one.end, "tag": one.tag, "words": text[one.start : one.end], **unknown}
        for one in review.entities
    ]
    about = {"author": review.author, "reason": review.reason, "created_at": iso(review.created_at)}
    return {"entities": entities, "review": about}
