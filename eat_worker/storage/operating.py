"""What an operator decides: runs paused, open again, cancelled, sooner or later; failed documents given another chance.

Workers see it at their next claim and after their next round. The run's row is changed alone and before its documents:
a worker holds a document when it asks for the run, so that the other order could deadlock. What was recorded about a
document stays: rounds are not asked again, attempts and events keep what went wrong.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Integer, Select, bindparam, exists, func, null, or_, select, update

from eat_worker.errors import EatError, NotFound, StoreUnavailable
from eat_worker.method.document import Document, Stage
from eat_worker.storage import leases
from eat_worker.storage.backlog import backlog_of
from eat_worker.storage.engine import Database, Transaction
from eat_worker.storage.rows import DOCUMENT, document_of
from eat_worker.storage.statements import (
    FREED,
    LOCK_RUN,
    QUEUED,
    REOPEN_RUN,
    RUNNING,
    RUNS,
    USAGE_COLUMNS,
    add_event,
    count_unfinished,
    find_run,
    page_of,
    pages,
)
from eat_worker.storage.tables import documents, entities, now, runs
from eat_worker.storage.values import Backlog, DeadLetter, Run

BATCH = 1000  # documents per transaction
LOCKED_SECONDS = 0.1
LOCKED_TRIES = 100

_run = update(runs).where(runs.c.id == bindparam("run_id"))
SET_STATE = _run.values(state=bindparam("new_state"))
SET_CANCELLED = _run.values(state="cancelled", finished_at=now())
SET_PRIORITY = _run.values(priority=bindparam("new_priority", type_=Integer))
# Hints of a paused run are taken and refused: they must neither fill the window of other runs nor be waited for.
FORGET_HINTS = (
    update(documents)
    # `+ 0`: by the index of the hints, which are few, and not by that of the run's documents.
    .where(QUEUED, documents.c.hinted_at > 0, documents.c.run_id + 0 == bindparam("run_id"))
    .values(hinted_at=null())
)
CANCELLABLE = (
    select(documents.c.id, documents.c.attempt)
    .where(documents.c.run_id == bindparam("run_id"), or_(QUEUED, RUNNING))
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
CANCEL = (
    update(documents)
    .where(documents.c.id == bindparam("document_id"))
    .values(status="cancelled", finished_at=now(), **FREED)
)
LEASE_OWNERS = select(documents.c.lease_owner).where(RUNNING).distinct()
EXPIRE_OWNER = (
    update(documents).where(documents.c.lease_owner == bindparam("worker"), RUNNING).values(lease_until=now() - 1)
)

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


class Operating:
    """Steers runs, keeps dead letters, and says how much work there is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pause_run(self, name_or_id: str | int) -> Run:
        """Lets no document of the run be begun or gone on with until it is resumed; one that is paused stays so.

        Raises NotFound, EatError when the run is complete or cancelled.
        """
        run = self._set_state(name_or_id, "paused", among=("open", "paused"))
        with self._database.write() as transaction:
            transaction.run(FORGET_HINTS, run_id=run.id)
        return run

    def resume_run(self, name_or_id: str | int) -> Run:
        """Opens a paused run; one that is open stays so. Raises NotFound, EatError when it is complete or cancelled."""
        run = self._set_state(name_or_id, "open", among=("open", "paused"))
        with self._database.write() as transaction:
            transaction.run(FORGET_HINTS, run_id=run.id)
        with self._database.write() as transaction:
            leases.complete_run(transaction, run.id)  # its last documents may have ended meanwhile
        return self._get_run(run.id)

    def cancel_run(self, name_or_id: str | int) -> tuple[Run, int]:
        """Ends the run and, for good, every document of it that has not ended; the run, and how many those were.

        What workers still write to them is refused. May be repeated when it was broken off. Raises NotFound, EatError
        when the run is complete, StoreUnavailable when a worker's transaction stands in the way for long.
        """
        run = self._set_state(name_or_id, "cancelled", among=("open", "paused", "cancelled"))
        cancelled = 0
        for _ in range(LOCKED_TRIES):
            while count := self._cancel_some(run.id):
                cancelled += count
            with self._database.read() as transaction:
                left = count_unfinished(transaction, [run.id])
            if not left:
                return run, cancelled
            time.sleep(LOCKED_SECONDS)
        raise StoreUnavailable(f"a worker has locked {left} documents of {run.spec.name}; run the same command again")

    def set_priority(self, name_or_id: str | int, priority: int) -> Run:
        """Documents of runs of higher priority are taken first; the default is 0. Raises NotFound."""
        with self._database.write() as transaction:
            run = find_run(transaction, name_or_id)
            if run.priority != priority:
                transaction.run(SET_PRIORITY, run_id=run.id, new_priority=priority)
                add_event(transaction, "priority", run.id, priority=priority, before=run.priority)
        return self._get_run(run.id)

    def add_event(self, kind: str, run_id: int, **detail: Any) -> None:
        """Records what an operator did."""
        with self._database.write() as transaction:
            add_event(transaction, kind, run_id, **detail)

    def lease_owners(self) -> list[str]:
        """The workers that hold leases now, run out or not."""
        with self._database.read() as transaction:
            return [owner for (owner,) in transaction.rows(LEASE_OWNERS)]

    def expire_leases(self, worker: str) -> int:
        """Ends the leases of a worker that is known to be dead, so that nobody waits for them; how many there were."""
        with self._database.write() as transaction:
            return transaction.run(EXPIRE_OWNER, worker=worker)

    def backlog(self) -> Backlog:
        """What open runs still have to do, and the documents of all runs that failed for good."""
        with self._database.read() as transaction:
            return backlog_of(transaction)

    def iter_dead(self, run: str | int | None = None) -> Iterator[DeadLetter]:
        """Documents that failed for good, of all runs or of one, in the order they came. Raises NotFound."""
        for run_id in self._run_ids(run):
            ids = self._failed_ids(run_id)
            for at in range(0, len(ids), BATCH):
                with self._database.read() as transaction:
                    letters = [_dead_letter(transaction, document_id) for document_id in ids[at : at + BATCH]]
                yield from (letter for letter in letters if letter is not None)

    def get_dead(self, document_id: int) -> DeadLetter:
        """The dead letter of that number. Raises NotFound when the document has not failed, or is none."""
        with self._database.read() as transaction:
            found = _dead_letter(transaction, document_id)
        if found is None:
            raise _not_failed(document_id)
        return found

    def reopen_failed(self, run: str | int) -> int:
        """Puts every failed document of the run back into the queue; how many.

        Raises NotFound, EatError when the run is cancelled.
        """
        run_id = self._get_run(run).id
        return self._reopen(run_id, self._failed_ids(run_id))

    def reopen(self, document_ids: Collection[int]) -> int:
        """Puts these failed documents back into the queue; how many. Raises NotFound, then nothing was changed."""
        by_run: dict[int, list[int]] = {}
        with self._database.read() as transaction:
            for document_id in sorted(set(document_ids)):
                row = transaction.row(RUN_OF, document_id=document_id)
                if row is None:
                    raise _not_failed(document_id)
                by_run.setdefault(row[0], []).append(document_id)
        return sum(self._reopen(run_id, ids) for run_id, ids in by_run.items())

    def iter_failed_texts(self, run_id: int) -> Iterator[Document]:
        """The run's failed documents as they were submitted."""
        return self._documents(FAILED_TEXTS, run_id)

    def iter_texts_by_outcome(self, run_id: int, outcome: str) -> Iterator[Document]:
        """The run's documents with an English entity that ended so, as they were submitted."""
        return self._documents(TEXTS_BY_OUTCOME, run_id, outcome=outcome)

    def _get_run(self, name_or_id: str | int) -> Run:
        with self._database.read() as transaction:
            return find_run(transaction, name_or_id)

    def _run_ids(self, run: str | int | None) -> list[int]:
        if run is not None:
            return [self._get_run(run).id]
        with self._database.read() as transaction:
            return [row[0] for row in transaction.rows(RUNS)]

    def _set_state(self, name_or_id: str | int, state: str, *, among: tuple[str, ...]) -> Run:
        with self._database.write() as transaction:
            run = find_run(transaction, name_or_id)
            transaction.rows(LOCK_RUN, run_id=run.id)
            run = find_run(transaction, run.id)  # as it is under the lock
            if run.state not in among:
                raise EatError(f"run {run.spec.name} is {run.state}: it cannot become {state} any more")
            if run.state != state:
                if state == "cancelled":
                    transaction.run(SET_CANCELLED, run_id=run.id)
                else:
                    transaction.run(SET_STATE, run_id=run.id, new_state=state)
                add_event(transaction, state, run.id, before=run.state)
        return self._get_run(run.id)

    def _cancel_some(self, run_id: int) -> int:
        with self._database.write() as transaction:
            found = [(key, attempt) for key, attempt in transaction.rows(CANCELLABLE, run_id=run_id, limit=BATCH)]
            transaction.many(CANCEL, [{"document_id": document_id} for document_id, _ in found])
            leases.end_open_attempts(transaction, found, "cancelled")
        return len(found)

    def _documents(self, query: Select[Any], run_id: int, **values: Any) -> Iterator[Document]:
        for rows in pages(self._database, query, run_id, **values):
            yield from (document_of(row[1:]) for row in rows)

    def _failed_ids(self, run_id: int) -> list[int]:
        with self._database.read() as transaction:
            return [document_id for (document_id,) in transaction.rows(FAILED_IDS, run_id=run_id)]

    def _reopen(self, run_id: int, ids: list[int]) -> int:
        reopened = 0
        for at in range(0, len(ids), BATCH):
            with self._database.write() as transaction:
                state = transaction.rows(LOCK_RUN, run_id=run_id)[0][0]
                if state == "cancelled":
                    raise EatError("the run is cancelled; with --set NAME=VALUE its documents go into another one")
                count = sum(transaction.run(REOPEN, document_id=key) for key in ids[at : at + BATCH])
                transaction.run(REOPEN_RUN, run_id=run_id)
                add_event(transaction, "reopened", run_id, documents=count)
            reopened += count
        return reopened


def _not_failed(document_id: int) -> NotFound:
    return NotFound(f"document {document_id} has not failed, or there is none; see: eat dead list")


def _dead_letter(transaction: Transaction, document_id: int) -> DeadLetter | None:
    row = transaction.row(DEAD_LETTER, document_id=document_id)
    if row is None:
        return None
    run, stage, attempt, code, error, finished_at, *document = row
    return DeadLetter(document_id, run, document_of(document), Stage(stage), attempt, code, error, finished_at)
