"""What an operator decides about a run: paused, open again, cancelled, sooner or later than others.

Workers see it at their next claim and after their next round. The run's row is changed alone and before its documents:
a worker holds a document when it asks for the run, so that the other order could deadlock.
"""

from __future__ import annotations

import time

from sqlalchemy import Integer, bindparam, null, or_, select, update

from eat_worker.errors import EatError, StoreUnavailable
from eat_worker.storage.engine import Transaction
from eat_worker.storage.leases import FREED, QUEUED, RUNNING
from eat_worker.storage.reading import Reading
from eat_worker.storage.submission import LOCK_RUN
from eat_worker.storage.tables import attempts, documents, now, runs
from eat_worker.storage.values import Run

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
END_CANCELLED = (
    update(attempts)
    .where(
        attempts.c.document_id == bindparam("of_document"),
        attempts.c.attempt == bindparam("of_attempt"),
        attempts.c.ended_at.is_(None),
    )
    .values(ended_at=now(), outcome="cancelled")
)


class Control(Reading):
    """The part of a store that an operator steers runs with."""

    def pause_run(self, name_or_id: str | int) -> Run:
        """Lets no document of the run be begun or gone on with until it is resumed; one that is paused stays so.

        Raises NotFound, EatError when the run is complete or cancelled.
        """
        run = self._set_state(name_or_id, "paused", among=("open", "paused"))
        with self.database.write() as transaction:
            transaction.run(FORGET_HINTS, run_id=run.id)
        return run

    def resume_run(self, name_or_id: str | int) -> Run:
        """Opens a paused run; one that is open stays so. Raises NotFound, EatError when it is complete or cancelled."""
        run = self._set_state(name_or_id, "open", among=("open", "paused"))
        with self.database.write() as transaction:
            transaction.run(FORGET_HINTS, run_id=run.id)
        with self.database.write() as transaction:
            self._complete_run(transaction, run.id)  # its last documents may have ended meanwhile
        return self.get_run(run.id)

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
            left = self.count_unfinished([run.id])
            if not left:
                return run, cancelled
            time.sleep(LOCKED_SECONDS)
        raise StoreUnavailable(f"a worker has locked {left} documents of {run.spec.name}; run the same command again")

    def set_priority(self, name_or_id: str | int, priority: int) -> Run:
        """Documents of runs of higher priority are taken first; the default is 0. Raises NotFound."""
        with self.database.write() as transaction:
            run = self._find_run(transaction, name_or_id)
            if run.priority != priority:
                transaction.run(SET_PRIORITY, run_id=run.id, new_priority=priority)
                self._add_event(transaction, "priority", run.id, priority=priority, before=run.priority)
        return self.get_run(run.id)

    def _set_state(self, name_or_id: str | int, state: str, *, among: tuple[str, ...]) -> Run:
        with self.database.write() as transaction:
            run = self._find_run(transaction, name_or_id)
            transaction.rows(LOCK_RUN, run_id=run.id)
            run = self._find_run(transaction, run.id)  # as it is under the lock
            if run.state not in among:
                raise EatError(f"run {run.spec.name} is {run.state}: it cannot become {state} any more")
            if run.state != state:
                if state == "cancelled":
                    transaction.run(SET_CANCELLED, run_id=run.id)
                else:
                    transaction.run(SET_STATE, run_id=run.id, new_state=state)
                self._add_event(transaction, state, run.id, before=run.state)
        return self.get_run(run.id)

    def _cancel_some(self, run_id: int) -> int:
        with self.database.write() as transaction:
            found = transaction.rows(CANCELLABLE, run_id=run_id, limit=BATCH)
            _cancel(transaction, found)
        return len(found)


def _cancel(transaction: Transaction, found: list[tuple[int, int]]) -> None:
    transaction.many(CANCEL, [{"document_id": document_id} for document_id, _ in found])
    transaction.many(END_CANCELLED, [{"of_document": key, "of_attempt": attempt} for key, attempt in found])
