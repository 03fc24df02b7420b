"""One document on its way: claim, run the stage, commit, then the next stage. The same with and without Celery.

Knows claims, leases and what each kind of error means for a document. Knows no message and no thread of its own.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from eat_worker.engines.identity import fingerprint_in
from eat_worker.errors import (
    ConfigurationError,
    EatError,
    EngineBroken,
    LeaseLost,
    NumericFault,
    StoreUnavailable,
    TooLarge,
    TooLong,
)
from eat_worker.jobs.document import stages
from eat_worker.jobs.document.leases import Draining, HeldLeases, Withheld
from eat_worker.jobs.document.round_log import RoundLog
from eat_worker.jobs.document.spool import Spool
from eat_worker.jobs.monitor.metrics import Metrics
from eat_worker.method.document import RoundOutput, Stage
from eat_worker.retry import Backoff, Chance, retry
from eat_worker.storage.store import Store
from eat_worker.storage.values import Claim, Hint, StageResult, queue_of

log = logging.getLogger(__name__)
T = TypeVar("T")

TRIES_IN_HAND = 4
# A document that failed waits in the database, and its place in the worker is free.
WAITING = Backoff(2.0, 300.0)
UNEXPECTED = "unexpected"  # the code of an error that is not ours
HOPELESS = (TooLong, TooLarge, NumericFault)  # the same again, however often it is asked


class Advancer:
    """Takes documents forward for one worker process. All methods may be called from many threads.

    `queues` are those this worker serves. `hand_on` is called after a document was queued for a stage that belongs
    to another queue, `give_up` with the error when no document can succeed here. Rounds lie in `spool` while the
    database does not take them. `chance` decides how long a document that failed waits.
    """

    def __init__(
        self,
        store: Store,
        tools: stages.Tools,
        leases: HeldLeases,
        *,
        queues: Collection[str],
        max_faults: int,
        hand_on: Callable[[], None] = lambda: None,
        give_up: Callable[[EatError], None] = lambda _: None,
        metrics: Metrics | None = None,
        spool: Spool | None = None,
        chance: Chance = random,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.queues = frozenset(queues)
        self._hand_on = hand_on
        self._give_up = give_up
        self._store = store
        self._tools = tools
        self._leases = leases
        self._max_faults = max_faults
        self._spool = spool
        self._chance = chance
        self._answered_at = 0.0  # when the engine last answered any document

    def take(self, hint: Hint) -> None:
        """Work on the document of a hint as far as this worker can; nothing happens when the hint is out of date."""
        leases = self._leases
        self._start(lambda: self._store.queue.claim(hint.document_id, hint.stage, leases.worker, leases.lease_seconds))

    def take_next(self) -> bool:
        """Work on whatever document comes next in the database; False when there is none."""
        leases = self._leases
        return self._start(lambda: self._store.queue.claim_next(self.queues, leases.worker, leases.lease_seconds))

    def _start(self, find: Callable[[], Claim | None]) -> bool:
        if self._leases.stop.is_set():
            return False
        try:
            claim = retry(find, self._leases.stop)
        except EatError as error:
            if _is_retryable(error):
                return False  # asked to stop while the database was away
            if isinstance(error, ConfigurationError):
                self._give_up(error)
            raise
        found = claim is not None
        while claim is not None:
            with self._leases.holding(claim):
                claim = self._advance(claim)
        return found

    def _advance(self, claim: Claim) -> Claim | None:
        """The next claim when its next stage is done here too, else None: handed on, finished, failed or released."""
        rounds = RoundLog(lambda waiting: self._write(claim, waiting), time.monotonic)
        try:
            return self._commit(claim, self._answer(claim, rounds), rounds)
        except LeaseLost as error:
            log.info("dropped: %s", error, extra=_about(claim))
            self.metrics.lease_lost()
        except Draining:
            self._release(claim, rounds)
        except Withheld as why:
            log.info("released: %s", why, extra=_about(claim))
            self._release(claim, rounds, reason=str(why))
        except EngineBroken as error:
            self._break_off(claim, error)
        except ConfigurationError as error:
            # A wrong key or an engine that cannot do what the run asks is this worker's fault: no document pays for it.
            log.error("this worker cannot continue: %s", error, extra=_about(claim))
            self._release(claim, rounds, reason=str(error))
            self._give_up(error)
        except Exception as error:  # noqa: BLE001  # stored with the document and logged, whatever it is
            if self._leases.stop.is_set() and _is_retryable(error):
                self._release(claim, rounds)
            else:
                self._fail(claim, rounds, error)
        return None

    def _answer(self, claim: Claim, rounds: RoundLog) -> StageResult:
        """Run the stage; while the engine is away, wait for it here and ask only what is still missing."""
        failures: list[float] = []  # when the engine did not answer, since it last answered this document

        def may_continue() -> None:
            self._leases.may_continue(claim)

        def record(output: RoundOutput) -> None:
            self._answered_at = time.monotonic()
            failures.clear()
            rounds.record(output)
            if rounds.run_state != "open":
                raise Withheld(f"the run is {rounds.run_state}")

        def attempt() -> StageResult:
            may_continue()
            return stages.run_stage(rounds.known(claim), self._tools, record, may_continue)

        def give_up() -> bool:
            # An engine that answers others and not this document: its place in the worker is freed. One that answers
            # nobody is waited for, or the whole queue would be claimed and released, one document after another.
            failures.append(time.monotonic())
            return len(failures) >= TRIES_IN_HAND and self._answered_at > failures[0]

        return retry(attempt, self._leases.stop, give_up)

    def _commit(self, claim: Claim, result: StageResult, rounds: RoundLog) -> Claim | None:
        stage = Stage.DONE if result.skipped else claim.config.stage_after(claim.stage)
        keep = (
            stage is not Stage.DONE and queue_of(claim.queues, stage) in self.queues and not self._leases.stop.is_set()
        )
        following = self._stored(
            claim,
            rounds.waiting,
            lambda: self._store.queue.commit_stage(
                claim, result, stage, keep=keep, lease_seconds=self._leases.lease_seconds, rounds=rounds.waiting
            ),
        )
        if stage is Stage.DONE:
            self.metrics.document_ended("skipped" if result.skipped else "done", claim.document.lang)
        elif following is None:
            self._hand_on()
        return following and rounds.known(following)

    def _write(self, claim: Claim, waiting: Sequence[RoundOutput]) -> str:
        return self._stored(claim, waiting, lambda: self._store.queue.add_rounds(claim, waiting))

    def _stored(self, claim: Claim, waiting: Sequence[RoundOutput], store: Callable[[], T]) -> T:
        """What `store` returns, once the database takes it; until then the rounds that wait lie in the spool too."""
        spool = self._spool
        if spool is None:
            return retry(store, self._leases.stop)

        def attempt() -> T:
            try:
                return store()
            except StoreUnavailable:
                spool.keep(claim.lease, waiting)
                raise

        try:
            result = retry(attempt, self._leases.stop)
        except StoreUnavailable:
            raise  # asked to stop before the database was back: what is spooled is stored by the next worker here
        except BaseException:
            spool.drop(claim.lease)
            raise
        spool.drop(claim.lease)
        return result

    def _release(self, claim: Claim, rounds: RoundLog, reason: str = "the worker was asked to stop") -> None:
        """Store what is known and free the document at once. Where that fails its lease runs out instead."""
        try:
            rounds.flush()
            self._store.queue.release(claim, reason=reason)
        except EatError as error:
            log.warning("not released; its lease will expire: %s", error, extra=_about(claim))

    def _fail(self, claim: Claim, rounds: RoundLog, error: Exception) -> None:
        """Store the error with the document; it is tried again until it has used up its faults."""
        known, retryable = isinstance(error, EatError), _is_retryable(error)
        # An error that is not ours may quote the text; its words are stored with the document.
        about = str(error) if known else "a bug of eat, see eat show"
        log.warning("%s: %s", type(error).__name__, about, extra=_about(claim), exc_info=not known)
        failures = claim.retries + 1 if retryable else claim.faults + 1
        try:
            rounds.flush()
            code = error.code if isinstance(error, EatError) else UNEXPECTED
            status = retry(
                lambda: self._store.queue.fail(
                    claim,
                    code,
                    str(error) if known else f"{type(error).__name__}: {error}",
                    retryable=retryable,
                    max_faults=1 if isinstance(error, HOPELESS) else self._max_faults,
                    not_before_seconds=WAITING.pause(failures, self._chance),
                ),
                self._leases.stop,
            )
            self.metrics.document_failed(status, claim.document.lang, code)
        except EatError as second:
            log.warning("not recorded; the lease will expire: %s", second, extra=_about(claim))

    def _break_off(self, claim: Claim, error: EngineBroken) -> None:
        """Commit nothing: what was answered last may be wrong. The process ends, and the document counts the break."""
        log.error("the engine broke: %s", error, extra=_about(claim))
        self._give_up(error)
        try:
            status = self._store.queue.break_off(claim, reason=str(error))
            self.metrics.document_failed(status, claim.document.lang, error.code)
        except EatError as second:
            log.warning("not recorded; the lease will expire: %s", second, extra=_about(claim))


def _is_retryable(error: Exception) -> bool:
    return isinstance(error, EatError) and error.retryable


def _about(claim: Claim) -> dict[str, object]:
    return {
        "run": claim.run_id,
        "document": claim.document_id,
        "stage": claim.stage,
        "attempt": claim.attempt,
        "fingerprint": fingerprint_in(queue_of(claim.queues, claim.stage)),
    }
