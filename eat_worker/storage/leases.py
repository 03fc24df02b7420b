"""Leases: how they are kept, shown at a write, ended and reaped; and how a run ends when nobody holds one any more.

A document is `queued`, then `running` under a lease; only the holder of the newest attempt may write to it. Every
instant is the database's own. Where several rows are changed at once they are locked with SKIP LOCKED, so that
nothing here waits for two rows and nothing can deadlock.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Text, bindparam, exists, select, update

from eat_worker.errors import LeaseLost
from eat_worker.storage.engine import Transaction
from eat_worker.storage.rows import clean
from eat_worker.storage.statements import FREED, LEASE, QUEUED, RUNNING, add_event
from eat_worker.storage.tables import attempts, documents, now, runs
from eat_worker.storage.values import Claim, Lease

# A document whose workers died this often in a row, without a commit between, is taken to be what kills them.
MAX_EXPIRIES = 5
# After the database was away nothing is reaped for so long: whoever lives extends its leases first. Counted from when
# this process last asked in vain, which it does every 15 s at the least: the database may be back only just.
GRACE_SECONDS = 20.0
ERROR_LENGTH = 2000  # characters of a message that are kept

# A row lock on the document together with the claim's attempt and owner: a worker whose lease went to another one
# finds neither, and its transaction writes nothing.
FENCE = (
    select(runs.c.state, documents.c.faults, documents.c.retries, documents.c.breaks)
    .join(runs, runs.c.id == documents.c.run_id)
    .where(
        documents.c.id == bindparam("document_id"),
        documents.c.stage == bindparam("stage"),
        documents.c.attempt == bindparam("attempt"),
        documents.c.lease_owner == bindparam("worker"),
        RUNNING,
    )
    .with_for_update(of=documents)
)
_attempt = update(attempts).where(
    attempts.c.document_id == bindparam("of_document"), attempts.c.attempt == bindparam("of_attempt")
)
END_ATTEMPT = _attempt.values(ended_at=now(), outcome=bindparam("ended"), error=bindparam("why", type_=Text))
# An attempt that was ended keeps its outcome.
END_OPEN_ATTEMPT = _attempt.where(attempts.c.ended_at.is_(None)).values(ended_at=now(), outcome=bindparam("ended"))

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


class Fence(NamedTuple):
    """What the database says when it lets a write through: the run's state, and what the document has met so far."""

    state: str
    faults: int
    retries: int
    breaks: int


def find(transaction: Transaction, claim: Claim | Lease) -> Fence | None:
    """Locks the document for a write under that lease; None when the lease is lost."""
    row = transaction.row(
        FENCE,
        document_id=claim.document_id,
        stage=str(claim.stage),
        attempt=claim.attempt,
        worker=claim.worker,
    )
    return None if row is None else Fence(*row)


def fence(transaction: Transaction, claim: Claim | Lease) -> Fence:
    """As `find`. Raises LeaseLost."""
    found = find(transaction, claim)
    if found is None:
        raise LeaseLost(
            f"document {claim.document_id} is no longer held by {claim.worker} (attempt {claim.attempt}, "
            f"{claim.stage}); nothing was written"
        )
    return found


def extend(transaction: Transaction, lease: Lease, lease_seconds: float) -> bool:
    """The lease lasts `lease_seconds` from now; False when it is lost."""
    extended = transaction.run(
        HEARTBEAT,
        document_id=lease.document_id,
        of_attempt=lease.attempt,
        worker=lease.worker,
        lease_seconds=lease_seconds,
    )
    return extended > 0


def end_attempt(transaction: Transaction, claim: Claim | Lease, outcome: str, why: str | None = None) -> None:
    """Records how the attempt ended; of `why`, ERROR_LENGTH characters without secrets are kept."""
    error = None if why is None else clean(transaction.database.redact(why))[:ERROR_LENGTH]
    values = {"ended": outcome, "why": error}
    transaction.run(END_ATTEMPT, of_document=claim.document_id, of_attempt=claim.attempt, **values)


def end_open_attempts(transaction: Transaction, found: Collection[tuple[int, int]], outcome: str) -> None:
    """Records how these (document, attempt) ended, where they have no end yet."""
    transaction.many(END_OPEN_ATTEMPT, [{"of_document": key, "of_attempt": at, "ended": outcome} for key, at in found])


def reap(transaction: Transaction) -> None:
    """The one way back into the queue for documents whose worker fell silent."""
    if transaction.database.seconds_since_failure() < GRACE_SECONDS:
        return
    expired = transaction.rows(EXPIRED)
    if not expired:
        return
    cancelled = [row for row in expired if row[4] == "cancelled"]
    poison = [row for row in expired if row[3] + 1 >= MAX_EXPIRIES and row not in cancelled]
    others = [row for row in expired if row not in cancelled and row not in poison]
    for statement, rows in ((CANCEL_EXPIRED, cancelled), (GIVE_UP, poison), (REQUEUE_EXPIRED, others)):
        transaction.many(statement, [{"document_id": row[0]} for row in rows])
    end_open_attempts(transaction, [(row[0], row[2]) for row in expired], "expired")
    for document_id, run_id, attempt, *_ in poison:
        add_event(transaction, "poison", run_id, document_id, attempt=attempt)


def complete_run(transaction: Transaction, run_id: int) -> bool:
    """Marks the run complete when none of its documents is left unfinished; False when work is left."""
    if transaction.rows(HAS_QUEUED, of_run=run_id):
        return False
    if not transaction.database.is_sqlite:
        # Two workers that end the last two documents would each see the other's as running: one waits here.
        still_open = transaction.rows(LOCK_RUN_END, of_run=run_id)
        if not still_open:
            return True
    return transaction.run(COMPLETE_RUN, of_run=run_id) > 0
