"""One document on its way: claim, run the stage, commit, go on with the next stage. The same with and without Celery.

Knows claims, leases and what each kind of error means for a document. Knows no message and no thread of its own.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from threading import Event
from typing import TypeVar

from eat_worker.errors import ConfigurationError, EatError, LeaseLost, TooLong
from eat_worker.jobs import stages
from eat_worker.jobs.held import Draining, Held
from eat_worker.method.document import RoundOutput, Stage
from eat_worker.storage.store import Store
from eat_worker.storage.values import Claim, Hint, StageResult, queue_of

log = logging.getLogger(__name__)
T = TypeVar("T")

# Rounds that came within this many seconds of the last write wait for the next one. A kill costs at most the round in
# flight and as much model time as this; an engine that answers at once does not pay a transaction per answer.
HOLD_SECONDS = 0.05
RETRY_FIRST_SECONDS = 0.5
RETRY_LONGEST_SECONDS = 30.0
TRIES_IN_HAND = 4
UNEXPECTED = "unexpected"  # the code of an error that is not ours


class RoundLog:
    """The rounds of one claim on their way into the database: written as they arrive, very fast ones together."""

    def __init__(self, write: Callable[[Sequence[RoundOutput]], None], clock: Callable[[], float]) -> None:
        self.recorded: list[RoundOutput] = []
        self._write = write
        self._clock = clock
        self._written = 0
        self._written_at = clock()

    @property
    def waiting(self) -> list[RoundOutput]:
        """Recorded, not yet written."""
        return self.recorded[self._written :]

    def record(self, output: RoundOutput) -> None:
        """Take one round; write it, and those waiting, unless the last write was a moment ago."""
        self.recorded.append(output)
        if self._clock() - self._written_at >= HOLD_SECONDS:
            self.flush()

    def known(self, claim: Claim) -> Claim:
        """The claim with the rounds recorded here among its own."""
        return replace(claim, rounds=(*claim.rounds, *self._missing(claim))) if self.recorded else claim

    def flush(self) -> None:
        """Write whatever waits. Raises LeaseLost or StoreUnavailable; what was not written keeps waiting."""
        if waiting := self.waiting:
            self._write(waiting)
            self._written += len(waiting)
        self._written_at = self._clock()

    def _missing(self, claim: Claim) -> list[RoundOutput]:
        there = {(output.stage, output.entity, output.round) for output in claim.rounds}
        return [output for output in self.recorded if (output.stage, output.entity, output.round) not in there]


def patiently(call: Callable[[], T], stop: Event, give_up: Callable[[], bool] = lambda: False) -> T:
    """What `call` returns, tried until the database or engine answers: growing pauses with full jitter.

    Raises its error when that is not retryable, when `give_up`, asked after every failure, says so, and once `stop` is
    set (after one more try).
    """
    longest = RETRY_FIRST_SECONDS
    while True:
        last = stop.is_set()
        try:
            return call()
        except EatError as error:
            if last or not error.retryable or give_up():
                raise
            pause = random.uniform(0, longest)
            log.warning("%s; trying again in %.1f s", error, pause)
            stop.wait(pause)
            longest = min(2 * longest, RETRY_LONGEST_SECONDS)


class Advancer:
    """Takes documents forward for one worker process. All methods may be called from many threads.

    `queues` are those this worker serves. `hand_on` is called after a document was queued for a stage that belongs
    to another queue, `give_up` with the error when no document can succeed here.
    """

    def __init__(
        self,
        store: Store,
        tools: stages.Tools,
        held: Held,
        *,
        queues: Collection[str],
        max_faults: int,
        hand_on: Callable[[], None] = lambda: None,
        give_up: Callable[[EatError], None] = lambda _: None,
    ) -> None:
        self.queues = frozenset(queues)
        self.hand_on = hand_on
        self._give_up = give_up
        self._store = store
        self._tools = tools
        self._held = held
        self._max_faults = max_faults
        self._answered_at = 0.0  # when the engine last answered anybody

    def take(self, hint: Hint) -> None:
        """Work on the document of a hint as far as this worker can; nothing happens when the hint is out of date."""
        held = self._held
        self._start(lambda: self._store.claim(hint.document_id, hint.stage, held.worker, held.lease_seconds))

    def take_next(self) -> bool:
        """Work on whatever document comes next in the database; False when there is none."""
        held = self._held
        return self._start(lambda: self._store.claim_next(self.queues, held.worker, held.lease_seconds))

    def _start(self, find: Callable[[], Claim | None]) -> bool:
        if self._held.stop.is_set():
            return False
        try:
            claim = patiently(find, self._held.stop)
        except EatError as error:
            if _is_retryable(error):
                return False  # asked to stop while the database was away
            if isinstance(error, ConfigurationError):
                self._give_up(error)
            raise
        found = claim is not None
        while claim is not None:
            with self._held.holding(claim):
                claim = self._advance(claim)
        return found

    def _advance(self, claim: Claim) -> Claim | None:
        """The next claim when the document goes on here, else None: handed on, finished, failed or given back."""
        rounds = RoundLog(lambda waiting: self._write(claim, waiting), time.monotonic)
        try:
            return self._commit(claim, self._answer(claim, rounds), rounds)
        except LeaseLost as error:
            log.info("dropped: %s", error, extra=_about(claim))
        except Draining:
            self._give_back(claim, rounds)
        except ConfigurationError as error:
            # A wrong key or an engine that cannot do what the run asks is this worker's fault: no document pays for it.
            log.error("this worker cannot go on: %s", error, extra=_about(claim))
            self._give_back(claim, rounds, reason=str(error))
            self._give_up(error)
        except Exception as error:  # noqa: BLE001  # stored with the document and logged, whatever it is
            if self._held.stop.is_set() and _is_retryable(error):
                self._give_back(claim, rounds)
            else:
                self._fail(claim, rounds, error)
        return None

    def _answer(self, claim: Claim, rounds: RoundLog) -> StageResult:
        """Run the stage; while the engine is away, wait for it here and ask only what is still missing."""
        failures: list[float] = []  # when the engine did not answer, since it last answered this document

        def may_continue() -> None:
            self._held.may_continue(claim)

        def record(output: RoundOutput) -> None:
            self._answered_at = time.monotonic()
            failures.clear()
            rounds.record(output)

        def attempt() -> StageResult:
            may_continue()
            return stages.run_stage(rounds.known(claim), self._tools, record, may_continue)

        def give_up() -> bool:
            # An engine that answers others and not this document: its place in the worker is freed. One that answers
            # nobody is waited for, or the whole queue would be taken and given back, one document after another.
            failures.append(time.monotonic())
            return len(failures) >= TRIES_IN_HAND and self._answered_at > failures[0]

        return patiently(attempt, self._held.stop, give_up)

    def _commit(self, claim: Claim, result: StageResult, rounds: RoundLog) -> Claim | None:
        stage = Stage.DONE if result.skipped else claim.config.stage_after(claim.stage)
        keep = stage is not Stage.DONE and queue_of(claim.queues, stage) in self.queues and not self._held.stop.is_set()
        following = patiently(
            lambda: self._store.commit_stage(
                claim, result, stage, keep=keep, lease_seconds=self._held.lease_seconds, rounds=rounds.waiting
            ),
            self._held.stop,
        )
        if following is None and stage is not Stage.DONE:
            self.hand_on()
        return following and rounds.known(following)

    def _write(self, claim: Claim, waiting: Sequence[RoundOutput]) -> None:
        patiently(lambda: self._store.add_rounds(claim, waiting), self._held.stop)

    def _give_back(self, claim: Claim, rounds: RoundLog, reason: str = "the worker was asked to stop") -> None:
        """Store what is known and free the document at once. Where that fails its lease runs out instead."""
        try:
            rounds.flush()
            self._store.release(claim, reason=reason)
        except EatError as error:
            log.warning("not given back, its lease runs out instead: %s", error, extra=_about(claim))

    def _fail(self, claim: Claim, rounds: RoundLog, error: Exception) -> None:
        """Store the error with the document; it is tried again until it has used up its faults."""
        known, retryable = isinstance(error, EatError), _is_retryable(error)
        log.warning("%s: %s", type(error).__name__, error, extra=_about(claim), exc_info=not known)
        hopeless = isinstance(error, TooLong)  # the same again, however often it is asked
        try:
            rounds.flush()
            patiently(
                lambda: self._store.fail(
                    claim,
                    error.code if isinstance(error, EatError) else UNEXPECTED,
                    str(error) if known else f"{type(error).__name__}: {error}",
                    retryable=retryable,
                    max_faults=1 if hopeless else self._max_faults,
                    not_before_seconds=random.uniform(0, RETRY_LONGEST_SECONDS if retryable else RETRY_FIRST_SECONDS),
                ),
                self._held.stop,
            )
        except EatError as second:
            log.warning("not recorded, the lease runs out instead: %s", second, extra=_about(claim))


def _is_retryable(error: Exception) -> bool:
    return isinstance(error, EatError) and error.retryable


def _about(claim: Claim) -> dict[str, object]:
    return {"run": claim.run_id, "document": claim.document_id, "stage": claim.stage, "attempt": claim.attempt}
