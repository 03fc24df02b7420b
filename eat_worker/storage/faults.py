"""How a claim ends without a result: given back, failed, or broken off with its engine. Every write is fenced.

Knows which misfortune counts against a document and when it has had enough. Knows no pause: how long a document waits
before it is tried again is the worker's to say.
"""

from __future__ import annotations

from sqlalchemy import Double, bindparam, update

from eat_worker.storage.commit import ERROR_LENGTH, FENCE, USAGE_COLUMNS, Commit, token
from eat_worker.storage.engine import Transaction
from eat_worker.storage.leases import FREED
from eat_worker.storage.rows import clean
from eat_worker.storage.tables import documents, now
from eat_worker.storage.values import Claim, Lease

# A document in whose hands the engine broke so often, without a commit between, is taken to be what breaks it. After
# the first time it is worked on alone, so that no other pays for it.
MAX_BREAKS = 2

_document = update(documents).where(documents.c.id == bindparam("document_id"))
FAIL = _document.values(
    **USAGE_COLUMNS,
    status="failed",
    faults=bindparam("now_faults"),
    breaks=bindparam("now_breaks"),
    error_code=bindparam("end_code"),
    error=bindparam("end_error"),
    finished_at=now(),
    **FREED,
)
RETRY = _document.values(
    status="queued",
    faults=bindparam("now_faults"),
    retries=bindparam("now_retries"),
    error_code=bindparam("end_code"),
    error=bindparam("end_error"),
    not_before=now() + bindparam("wait_seconds", type_=Double),
    **FREED,
)
BREAK = _document.values(status="queued", breaks=bindparam("now_breaks"), **FREED)
RELEASE = _document.values(status="queued", **FREED)


class Faults(Commit):
    """The part of a store that a worker tells its misfortunes."""

    def release(self, claim: Claim | Lease, *, reason: str) -> None:
        """Gives the document back unharmed, for any worker to go on. Nothing happens when the lease is lost."""
        with self.database.write() as transaction:
            if transaction.row(FENCE, **token(claim)):
                transaction.run(RELEASE, document_id=claim.document_id)
                self._end_attempt(transaction, claim, "released", reason)

    def fail(
        self,
        claim: Claim,
        code: str,
        message: str,
        *,
        retryable: bool,
        max_faults: int,
        not_before_seconds: float,
    ) -> str:
        """Records that the stage could not be done; the document's new status. Raises LeaseLost.

        `retryable`: the surroundings were at fault, and it is queued again, not before `not_before_seconds` from now,
        however often. Otherwise the document was: it is queued again, or failed with its `max_faults`-th fault.
        """
        error = clean(self.database.redact(message))[:ERROR_LENGTH]
        with self.database.write() as transaction:
            fence = self._fence(transaction, claim)
            faults = fence.faults + (0 if retryable else 1)
            failed = not retryable and faults >= max_faults
            outcome = "retry" if retryable else "failed" if failed else "fault"
            self._end_attempt(transaction, claim, outcome, f"{code}: {error}")
            values = {"document_id": claim.document_id, "now_faults": faults, "end_code": code, "end_error": error}
            if not failed:
                retries = fence.retries + (1 if retryable else 0)
                transaction.run(RETRY, **values, now_retries=retries, wait_seconds=not_before_seconds)
                return "queued"
            transaction.run(FAIL, **values, now_breaks=fence.breaks, **self._usage(transaction, claim))
            self._end_failed(transaction, claim, "failed", code=code)
        return "failed"

    def break_off(self, claim: Claim, *, reason: str) -> str:
        """Records that the engine broke with the document in hand; its new status. Raises LeaseLost.

        It is queued again, to be worked on alone, or failed as poison with the MAX_BREAKS-th time.
        """
        error = clean(self.database.redact(reason))[:ERROR_LENGTH]
        with self.database.write() as transaction:
            fence = self._fence(transaction, claim)
            breaks = fence.breaks + 1
            self._end_attempt(transaction, claim, "engine_broken", error)
            values = {"document_id": claim.document_id, "now_breaks": breaks}
            if breaks < MAX_BREAKS:
                transaction.run(BREAK, **values)
                return "queued"
            why = f"the engine broke {breaks} times in a row with this document in hand; the last time: {error}"
            told = {"end_code": "poison", "end_error": why[:ERROR_LENGTH]}
            transaction.run(FAIL, **values, **told, now_faults=fence.faults, **self._usage(transaction, claim))
            self._end_failed(transaction, claim, "poison")
        return "failed"

    def _end_failed(self, transaction: Transaction, claim: Claim, kind: str, **detail: str) -> None:
        self._add_event(
            transaction, kind, claim.run_id, claim.document_id, **detail, stage=str(claim.stage), attempt=claim.attempt
        )
        self._complete_run(transaction, claim.run_id)
