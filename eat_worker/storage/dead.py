"""Documents that failed for good: listed, opened again, and copied into a run with other settings.

What was recorded about them stays: rounds are not asked again, attempts and events keep what went wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import bindparam, exists, func, null, select, update

from eat_worker.errors import EatError, NotFound
from eat_worker.method.document import Document, Stage
from eat_worker.storage.commit import USAGE_COLUMNS
from eat_worker.storage.control import BATCH, Control
from eat_worker.storage.engine import Transaction
from eat_worker.storage.reading import page_of
from eat_worker.storage.rows import DOCUMENT, document_of
from eat_worker.storage.submission import LOCK_RUN, REOPEN_RUN
from eat_worker.storage.tables import documents, entities, runs
from eat_worker.storage.values import DeadLetter

_is_failed = documents.c.status == "failed"
FAILED_IDS = (
    select(documents.c.id).where(documents.c.run_id == bindparam("run_id"), _is_failed).order_by(documents.c.id)
)
DEAD_LETTER = (
    select(
        runs.c.name,
        *(documents.c[name] for name in ("stage", "attempt", "error_code", "error", "finished_at", *DOCUMENT)),
    )
    .join(runs, runs.c.id == documents.c.run_id)
    .where(documents.c.id == bindparam("document_id"), _is_failed)
)
RUN_OF = select(documents.c.run_id).where(documents.c.id == bindparam("document_id"), _is_failed)
REOPEN = (
    update(documents)
    .where(documents.c.id == bindparam("document_id"), _is_failed)
    .values(
        status="queued",
        **dict.fromkeys(("faults", "expiries", "retries", "breaks"), 0),
        **dict.fromkeys(("error_code", "error", "not_before", "finished_at", *USAGE_COLUMNS), null()),
    )
)
FAILED_TEXTS = page_of(*(documents.c[name] for name in DOCUMENT)).where(_is_failed)
TEXTS_BY_OUTCOME = page_of(*(documents.c[name] for name in DOCUMENT)).where(
    exists().where(
        entities.c.document_id == documents.c.id,
        func.coalesce(entities.c.outcome, entities.c.fault) == bindparam("outcome"),
    )
)


class Dead(Control):
    """The part of a store that keeps dead letters and gives them another chance."""

    def iter_dead(self, run: str | int | None = None) -> Iterator[DeadLetter]:
        """Documents that failed for good, of all runs or of one, in the order they came. Raises NotFound."""
        keys = [self.get_run(run).id] if run is not None else [one.id for one in self.list_runs()]
        for run_id in keys:
            ids = self._failed_ids(run_id)
            for at in range(0, len(ids), BATCH):
                with self.database.read() as transaction:
                    letters = [_dead_letter(transaction, document_id) for document_id in ids[at : at + BATCH]]
                yield from (letter for letter in letters if letter is not None)

    def get_dead(self, document_id: int) -> DeadLetter:
        """The dead letter of that number. Raises NotFound when the document has not failed, or is none."""
        with self.database.read() as transaction:
            found = _dead_letter(transaction, document_id)
        if found is None:
            raise NotFound(f"document {document_id} has not failed, or there is none; see: eat dead list")
        return found

    def reopen_failed(self, run: str | int) -> int:
        """Puts every failed document of the run back into the queue; how many.

        Raises NotFound, EatError when the run is cancelled.
        """
        run_id = self.get_run(run).id
        return self._reopen(run_id, self._failed_ids(run_id))

    def reopen(self, document_ids: Collection[int]) -> int:
        """Puts these failed documents back into the queue; how many. Raises NotFound, then nothing was changed."""
        by_run: dict[int, list[int]] = {}
        with self.database.read() as transaction:
            for document_id in sorted(set(document_ids)):
                row = transaction.row(RUN_OF, document_id=document_id)
                if row is None:
                    raise NotFound(f"document {document_id} has not failed, or there is none; see: eat dead list")
                by_run.setdefault(row[0], []).append(document_id)
        return sum(self._reopen(run_id, ids) for run_id, ids in by_run.items())

    def iter_failed_texts(self, run_id: int) -> Iterator[Document]:
        """The run's failed documents as they were submitted."""
        return self._documents(FAILED_TEXTS, run_id)

    def iter_texts_by_outcome(self, run_id: int, outcome: str) -> Iterator[Document]:
        """The run's documents with an English entity that ended so, as they were submitted."""
        return self._documents(TEXTS_BY_OUTCOME, run_id, outcome=outcome)

    def add_event(self, kind: str, run_id: int, **detail: Any) -> None:
        """Records what an operator did."""
        with self.database.write() as transaction:
            self._add_event(transaction, kind, run_id, **detail)

    def _documents(self, query: Any, run_id: int, **values: Any) -> Iterator[Document]:
        for rows in self._pages(query, run_id, **values):
            yield from (document_of(row[1:]) for row in rows)

    def _failed_ids(self, run_id: int) -> list[int]:
        with self.database.read() as transaction:
            return [document_id for (document_id,) in transaction.rows(FAILED_IDS, run_id=run_id)]

    def _reopen(self, run_id: int, ids: list[int]) -> int:
        reopened = 0
        for at in range(0, len(ids), BATCH):
            with self.database.write() as transaction:
                state = transaction.rows(LOCK_RUN, run_id=run_id)[0][0]
                if state == "cancelled":
                    raise EatError("the run is cancelled; with --set NAME=VALUE its documents go into another one")
                count = sum(transaction.run(REOPEN, document_id=key) for key in ids[at : at + BATCH])
                transaction.run(REOPEN_RUN, run_id=run_id)
                self._add_event(transaction, "reopened", run_id, documents=count)
            reopened += count
        return reopened


def _dead_letter(transaction: Transaction, document_id: int) -> DeadLetter | None:
    row = transaction.row(DEAD_LETTER, document_id=document_id)
    if row is None:
        return None
    run, stage, attempt, code, error, finished_at, *document = row
    return DeadLetter(document_id, run, document_of(document), Stage(stage), attempt, code, error, finished_at)
