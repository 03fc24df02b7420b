"""An engine as a worker uses it: every round is counted, timed and, where asked for, traced; a stuck engine ends the
process, whose heartbeat would keep its documents for ever.

Knows the shape of an engine. Knows nothing of what is asked: no prompt and no answer is kept or sent anywhere.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from eat_worker.engines.engine import ChatEngine, EngineInfo
from eat_worker.errors import EngineBroken
from eat_worker.jobs.background import Background
from eat_worker.jobs.monitor.metrics import Metrics
from eat_worker.jobs.monitor.tracing import Tracing
from eat_worker.method.rounds import Request, RoundResult

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 5.0  # between two looks of the watchdog


class Pulse:
    """Signs of life of an engine: rounds begun and ended, well or not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way = 0
        self._last_sign = clock()

    def begin(self) -> None:
        """A round is asked."""
        self._sign(+1)

    def end(self) -> None:
        """A round came to its answer or error."""
        self._sign(-1)

    def silent_for(self) -> float:
        """Seconds for which rounds are under way and none has ended or begun; 0.0 while nothing is asked."""
        with self._lock:
            return self._clock() - self._last_sign if self._under_way else 0.0

    def _sign(self, change: int) -> None:
        with self._lock:
            # A round that begins beside others proves nothing: a stuck engine takes requests too.
            if change < 0 or self._under_way == 0:
                self._last_sign = self._clock()
            self._under_way += change


class MeasuredEngine:
    """`engine`, with every round counted by the metrics, felt by the pulse and traced."""

    def __init__(self, engine: ChatEngine, metrics: Metrics, pulse: Pulse, tracing: Tracing) -> None:
        self._engine, self._metrics, self._pulse, self._tracing = engine, metrics, pulse, tracing
        metrics.oom_splits(lambda: engine.oom_splits)

    @property
    def info(self) -> EngineInfo:
        """What this engine is."""
        return self._engine.info

    @property
    def oom_splits(self) -> int:
        """Batches that were halved for want of memory."""
        return self._engine.oom_splits

    def submit(self, request: Request) -> Future[RoundResult]:
        """The answer to come; counted, not traced."""
        self._pulse.begin()
        future = self._engine.submit(request)
        future.add_done_callback(lambda done: self._ended(request, done))
        return future

    def ask(self, request: Request) -> RoundResult:
        """The answer, waited for."""
        self._pulse.begin()
        try:
            with self._tracing.chat(self._engine.info, request) as record:
                result = self._engine.ask(request)
                record(result)
        finally:
            self._pulse.end()
        self._metrics.round_answered(request.stage, result)
        return result

    def _ended(self, request: Request, done: Future[RoundResult]) -> None:
        self._pulse.end()
        if not done.cancelled() and done.exception() is None:
            self._metrics.round_answered(request.stage, done.result())

    def close(self) -> None:
        """Give the engine's memory back."""
        self._engine.close()


class Watchdog(Background):
    """Calls `on_stuck` once, from a thread of its own, when `silent_for` exceeds `stuck_seconds`.

    `silent_for` gives the seconds for which rounds have been asked and none has come to an end, well or not.
    """

    def __init__(
        self, silent_for: Callable[[], float], stuck_seconds: float, on_stuck: Callable[[EngineBroken], None]
    ) -> None:
        super().__init__("eat-watchdog", min(LONGEST_PAUSE_SECONDS, stuck_seconds / 4))
        self._silent_for = silent_for
        self._stuck_seconds = stuck_seconds
        self._on_stuck = on_stuck

    def _step(self) -> float:
        silent = self._silent_for()
        if silent > self._stuck_seconds:
            error = EngineBroken(f"the engine has answered nothing for {silent:.0f} s; this process ends")
            log.critical("%s", error)
            self._end()
            self._on_stuck(error)
        return self._every
