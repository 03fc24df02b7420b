"""Leases: how they are kept, how they run out, and how a run ends when nobody holds one any more.

A document is `queued`, then `running` under a lease; only the holder of the newest attempt may write to it. Every
instant is the database's own. Where several rows are changed at once they are locked with SKIP LOCKED, so that
nothing here waits for two rows and nothing can deadlock.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Double, bindparam, exists, insert, literal_column, null, select, update

from eat_worker.storage.engine import Transaction
from eat_worker.storage.rows import dump
from eat_worker.storage.submission import Submission
from eat_worker.storage.tables import attempts, documents, events, now, runs
from eat_worker.storage.values import Lease

# A document whose workers died this often in a row, without a commit between, is taken to be what kills them.
MAX_EXPIRIES = 5
# After so many it is worked on alone: one dead worker is an accident, two make all that it had in hand suspect, and
# only the one that kills may pay for it.
ALONE_AFTER = 2
# After the database was away nothing is taken back for so long: whoever lives extends its leases first. Counted from
# when this process last asked in vain, which it does every 15 s at the least: the database may be back only just.
GRACE_SECONDS = 20.0

# Written out rather than bound: the partial indexes are used only by a query that states their condition.
QUEUED = documents.c.status == literal_column("'queued'")
RUNNING = documents.c.status == literal_column("'running'")
LEASE = bindparam("lease_seconds", type_=Double)
FREED = {"hinted_at": null(), "lease_owner": null(), "lease_until": null()}

_state = select(runs.c.state).where(runs.c.id == documents.c.run_id).correlate(documents).scalar_subquery()
EXPIRED = (
    select(documents.c.id, documents.c.run_id, documents.c.attempt, documents.c.expiries, _state)
    .where(RUNNING, documents.c.lease_until < now())
    .with_for_update(skip_locked=True)
)
_expired = update(documents).where(documents.c.id == bindparam("document_id"))
REQUEUE_EXPIRED = _expired.values(status="queued", expiries=documents.c.expiries + 1, **FREED)
CANCEL_EXPIRED = _expired.values(status="cancelled", finished_at=now(), **FREED)
GIVE_UP = _expired.values(
    status="failed",
    expiries=documents.c.expiries + 1,
    error_code="poison",
    error=f"{MAX_EXPIRIES} workers in a row died with this document",
    finished_at=now(),
    **FREED,
)
# Only the lease that ran out has no end yet; an attempt that was ended keeps its outcome.
END_EXPIRED = (
    update(attempts)
    .where(
        attempts.c.document_id == bindparam("of_document"),
        attempts.c.attempt == bindparam("of_attempt"),
        attempts.c.ended_at.is_(None),
    )
    .values(ended_at=now(), outcome="expired")
)
ADD_EVENT = insert(events).values(
    run_id=bindparam("run_id"),
    document_id=bindparam("document_id"),
    at=now(),
    kind=bindparam("kind"),
    detail_json=bindparam("detail_json"),
)

HEARTBEAT = (
    update(documents)
    .where(
        documents.c.id == bindparam("document_id"),
        # What was committed under this lease, and never heard of, is nobody's here to keep.
        documents.c.attempt == bindparam("of_attempt"),
        documents.c.lease_owner == bindparam("worker"),
        RUNNING,
    )
    .values(lease_until=now() + LEASE)
)
LEASE_OWNERS = select(documents.c.lease_owner).where(RUNNING).distinct()
EXPIRE_OWNER = (
    update(documents).where(documents.c.lease_owner == bindparam("worker"), RUNNING).values(lease_until=now() - 1)
)

HAS_QUEUED = (
    select(documents.c.id)
    .where(QUEUED, documents.c.run_id == bindparam("of_run"))
    # An order that only the index of the queue has: anything else would read past the documents that ended.
    .order_by(documents.c.stage, documents.c.created_at, documents.c.id)
    .limit(1)
)
LOCK_RUN_END = select(runs.c.id).where(runs.c.id == bindparam("of_run"), runs.c.state == "open").with_for_update()
COMPLETE_RUN = (
    update(runs)
    .where(
        runs.c.id == bindparam("of_run"),
        runs.c.state == "open",
        runs.c.started_at.is_not(None),  # a run that nobody worked on has no documents yet
        ~exists().where(documents.c.run_id == runs.c.id, QUEUED).correlate(runs),
        ~exists().where(documents.c.run_id == runs.c.id, RUNNING).correlate(runs),
    )
    .values(state="complete", finished_at=now())
)


class Leases(Submission):
    """The part of a store that keeps leases and takes back those that ran out."""

    def heartbeat(self, leases: Collection[Lease], lease_seconds: float) -> list[Lease]:
        """Extends the leases to `lease_seconds` from now; those that are lost."""
        with self.database.write() as transaction:
            # In one order everywhere: two heartbeats of one worker then never wait for each other.
            return [
                lease
                for lease in sorted(leases, key=lambda lease: (lease.document_id, lease.attempt))
                if not transaction.run(
                    HEARTBEAT,
                    document_id=lease.document_id,
                    of_attempt=lease.attempt,
                    worker=lease.worker,
                    lease_seconds=lease_seconds,
                )
            ]

    def lease_owners(self) -> list[str]:
        """The workers that hold leases now, run out or not."""
        with self.database.read() as transaction:
            return [owner for (owner,) in transaction.rows(LEASE_OWNERS)]

    def expire_leases(self, worker: str) -> int:
        """End the leases of a worker that is known to be dead, so that nobody waits for them; how many there were."""
        with self.database.write() as transaction:
            return transaction.run(EXPIRE_OWNER, worker=worker)

    def _take_back(self, transaction: Transaction) -> None:
        """The one way back into the queue for a document whose worker fell silent."""
        if self.database.seconds_since_failure() < GRACE_SECONDS:
            return
        expired = transaction.rows(EXPIRED)
        if not expired:
            return
        cancelled = [row for row in expired if row[4] == "cancelled"]
        poison = [row for row in expired if row[3] + 1 >= MAX_EXPIRIES and row not in cancelled]
        others = [row for row in expired if row not in cancelled and row not in poison]
        for statement, rows in ((CANCEL_EXPIRED, cancelled), (GIVE_UP, poison), (REQUEUE_EXPIRED, others)):
            transaction.many(statement, [{"document_id": row[0]} for row in rows])
        transaction.many(END_EXPIRED, [{"of_document": row[0], "of_attempt": row[2]} for row in expired])
        for document_id, run_id, attempt, *_ in poison:
            self._add_event(transaction, "poison", run_id, document_id, attempt=attempt)

    def _add_event(
        self, transaction: Transaction, kind: str, run_id: int, document_id: int | None = None, **detail: Any
    ) -> None:
        transaction.run(ADD_EVENT, run_id=run_id, document_id=document_id, kind=kind, detail_json=dump(detail))

    def _complete_run(self, transaction: Transaction, run_id: int) -> bool:
        """Marks the run complete when none of its documents is left unfinished."""
        if transaction.rows(HAS_QUEUED, of_run=run_id):
            return False
        # Two workers that end the last two documents would each see the other's as running: one waits here.
        if not self.database.is_sqlite and not transaction.rows(LOCK_RUN_END, of_run=run_id):
            return True
        return transaction.run(COMPLETE_RUN, of_run=run_id) > 0
