"""The queue as a worker sees it: hints, claims, heartbeats, and every way in which a claim ends.

Each method is one transaction, and each write under a claim is fenced. The claim's SQL is in `claims.py`, that of
leases in `leases.py`. Knows which misfortune counts against a document and when it has had enough; how long a document
waits before it is tried again is the worker's to say.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Double, Text, bindparam, null, update

from eat_worker.method.document import RoundOutput, Stage
from eat_worker.storage import leases
from eat_worker.storage.claims import DISPATCHERS, TAKE_TURN, Claims, following, keep_claim
from eat_worker.storage.engine import Database, Transaction
from eat_worker.storage.results import Results, usage_of
from eat_worker.storage.rows import clean
from eat_worker.storage.statements import FREED, RESULTS, USAGE_COLUMNS, add_event
from eat_worker.storage.tables import documents, now
from eat_worker.storage.values import Claim, Hint, Lease, StageResult, WorkerSpec
from eat_worker.storage.workers import BEAT, END_WORKER, add_worker

# A document in whose hands the engine broke so often, without a commit between, is taken to be what breaks it. After
# the first time it is worked on alone, so that no other pays for it.
MAX_BREAKS = 2

_document = update(documents).where(documents.c.id == bindparam("document_id"))
PASS_ON = _document.values(**RESULTS, status="queued", error_code=null(), error=null(), **FREED)
END = _document.values(
    **RESULTS,
    **USAGE_COLUMNS,
    status=bindparam("end_status"),
    error_code=bindparam("end_code", type_=Text),
    error=null(),
    finished_at=now(),
    **FREED,
)
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


class Queue:
    """Hands out documents and takes what workers write about them. May be shared by threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claims = Claims()
        self._results = Results()

    def take_hints(self, limit: int, *, window: int, stale_after: float) -> list[Hint]:
        """Documents to announce now, at most `limit`; first, leases that ran out are reaped.

        No queue has more than `window` hints out that nobody took within `stale_after` seconds; a hint older than
        that counts as lost and is given again. Several dispatchers may run.
        """
        with self._database.write() as transaction:
            if not self._database.is_sqlite:
                transaction.rows(TAKE_TURN, number=DISPATCHERS)
            leases.reap(transaction)
            return self._claims.hints(transaction, limit, window, stale_after)

    def claim(self, document_id: int, stage: Stage, worker: str, lease_seconds: float) -> Claim | None:
        """Leases the document for that stage, with all that the stage needs.

        None when it is not to be had: taken, ended, at another stage, not due yet, or its run is not open. Also when
        ALONE_AFTER workers died with it, or an engine broke, and this one has others in hand: they must not pay too.
        """
        with self._database.write() as transaction:
            return self._claims.claim(transaction, document_id, stage, worker, lease_seconds)

    def claim_next(self, queues: Collection[str], worker: str, lease_seconds: float) -> Claim | None:
        """Leases the next document whose stage is served by one of `queues`, without a broker; None when idle."""
        with self._database.write() as transaction:
            leases.reap(transaction)
            found = self._claims.next_of(transaction, queues, worker)
            if found is None:
                return None
            return self._claims.claim(transaction, *found, worker, lease_seconds)

    def add_worker(self, worker: WorkerSpec) -> int:
        """Records a worker that begins now; the number of its row."""
        with self._database.write() as transaction:
            return add_worker(transaction, worker)

    def end_worker(self, worker_id: int) -> None:
        """Records that the worker of that row ended by itself and holds nothing any more."""
        with self._database.write() as transaction:
            transaction.run(END_WORKER, worker_id=worker_id)

    def heartbeat(self, held: Collection[Lease], lease_seconds: float, worker_id: int | None = None) -> list[Lease]:
        """Extends the leases to `lease_seconds` from now, and says that the worker of that row lives; lost leases."""
        lost = []
        with self._database.write() as transaction:
            if worker_id is not None:
                transaction.run(BEAT, worker_id=worker_id)
            # In one order everywhere: two heartbeats of one worker then never wait for each other.
            for lease in sorted(held, key=lambda lease: (lease.document_id, lease.attempt)):
                extended = leases.extend(transaction, lease, lease_seconds)
                if not extended:
                    lost.append(lease)
        return lost

    def add_round(self, claim: Claim | Lease, output: RoundOutput) -> str:
        """Records the model's answer of one round, at once, so that no crash asks it again; the run's state.

        Raises LeaseLost.
        """
        return self.add_rounds(claim, (output,))

    def add_rounds(self, claim: Claim | Lease, outputs: Sequence[RoundOutput]) -> str:
        """As `add_round`, for several rounds in one transaction. A round recorded before is replaced."""
        with self._database.write() as transaction:
            fence = leases.fence(transaction, claim)
            self._results.put_rounds(transaction, claim, outputs)
        return fence.state

    def commit_stage(
        self,
        claim: Claim,
        result: StageResult,
        next_stage: Stage,
        *,
        keep: bool,
        lease_seconds: float,
        rounds: Sequence[RoundOutput] = (),
    ) -> Claim | None:
        """Records a stage's result and moves the document on, in one transaction. Raises LeaseLost: nothing written.

        With `keep` the same worker goes on at once: the claim of the next stage, whose `rounds` are those of `claim`
        and those given here. None when the document ended, is queued again, or its run is no longer open.
        """
        is_end = bool(result.skipped) or next_stage is Stage.DONE
        next_stage = Stage.DONE if is_end else next_stage
        results = {
            "new_english": result.english and clean(result.english),
            "new_back_translation": result.back_translation and clean(result.back_translation),
            "next_stage": str(next_stage),
        }
        with self._database.write() as transaction:
            state = leases.fence(transaction, claim).state
            self._results.put_rounds(transaction, claim, rounds)
            self._results.put_result(transaction, claim, result)
            leases.end_attempt(transaction, claim, "committed")
            if is_end:
                _end(transaction, claim, result.skipped, results)
                return None
            if not keep or state != "open":
                transaction.run(PASS_ON, **results, document_id=claim.document_id)
                return None
            keep_claim(transaction, claim, next_stage, lease_seconds, results)
        return following(claim, result, next_stage, rounds)

    def release(self, claim: Claim | Lease, *, reason: str) -> None:
        """Gives the document back unharmed, for any worker to go on. Nothing happens when the lease is lost."""
        with self._database.write() as transaction:
            if leases.find(transaction, claim) is not None:
                transaction.run(RELEASE, document_id=claim.document_id)
                leases.end_attempt(transaction, claim, "released", reason)

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
        error = clean(self._database.redact(message))[: leases.ERROR_LENGTH]
        with self._database.write() as transaction:
            fence = leases.fence(transaction, claim)
            faults = fence.faults + (0 if retryable else 1)
            failed = not retryable and faults >= max_faults
            outcome = "retry" if retryable else "failed" if failed else "fault"
            leases.end_attempt(transaction, claim, outcome, f"{code}: {error}")
            values = {"document_id": claim.document_id, "now_faults": faults, "end_code": code, "end_error": error}
            if not failed:
                retries = fence.retries + (1 if retryable else 0)
                transaction.run(RETRY, **values, now_retries=retries, wait_seconds=not_before_seconds)
                return "queued"
            transaction.run(FAIL, **values, now_breaks=fence.breaks, **usage_of(transaction, claim.document_id))
            _end_failed(transaction, claim, "failed", code=code)
        return "failed"

    def break_off(self, claim: Claim, *, reason: str) -> str:
        """Records that the engine broke with the document in hand; its new status. Raises LeaseLost.

        It is queued again, to be worked on alone, or failed as poison with the MAX_BREAKS-th time.
        """
        error = clean(self._database.redact(reason))[: leases.ERROR_LENGTH]
        with self._database.write() as transaction:
            fence = leases.fence(transaction, claim)
            breaks = fence.breaks + 1
            leases.end_attempt(transaction, claim, "engine_broken", error)
            values = {"document_id": claim.document_id, "now_breaks": breaks}
            if breaks < MAX_BREAKS:
                transaction.run(BREAK, **values)
                return "queued"
            why = f"the engine broke {breaks} times in a row with this document in hand; the last time: {error}"
            poison = {"end_code": "poison", "end_error": why[: leases.ERROR_LENGTH]}
            usage = usage_of(transaction, claim.document_id)
            transaction.run(FAIL, **values, **poison, now_faults=fence.faults, **usage)
            _end_failed(transaction, claim, "poison")
        return "failed"


def _end(transaction: Transaction, claim: Claim, skipped: str | None, results: dict[str, str | None]) -> None:
    transaction.run(
        END,
        **results,
        **usage_of(transaction, claim.document_id),
        document_id=claim.document_id,
        end_status="skipped" if skipped else "done",
        end_code=skipped,
    )
    leases.complete_run(transaction, claim.run_id)


def _end_failed(transaction: Transaction, claim: Claim, kind: str, **detail: str) -> None:
    place = {"stage": str(claim.stage), "attempt": claim.attempt}
    add_event(transaction, kind, claim.run_id, claim.document_id, **detail, **place)
    leases.complete_run(transaction, claim.run_id)
