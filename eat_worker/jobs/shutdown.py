"""When this process must end: SIGTERM or Ctrl-C once means finish the round, twice or after too long means now.

Knows signals, pipes and the process that started this one. Knows neither documents nor queues.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from eat_worker.errors import EatError, EngineBroken

log = logging.getLogger(__name__)

# Set by `jobs.local` for the workers it starts: they drain when that process is gone, whatever ended it.
PARENT_VARIABLE = "_EAT_PARENT"
RELEASE_SECONDS = 5.0
# What is asked of an engine that broke may never be answered, and nothing it answers can be trusted.
BROKEN_SECONDS = 5.0


class Shutdown:
    """Why and whether this process ends. While the block lasts it owns SIGTERM and SIGINT; needs the main thread.

    `event` is set by the first signal, by `request`, by `fail` or when the parent process is gone. The second signal,
    or `drain_seconds` without an end, does what `before_forced_end` was given, in a thread of its own, and ends the
    process without unwinding.
    """

    def __init__(self, drain_seconds: float = math.inf) -> None:
        self.event = threading.Event()
        self.signal: int | None = None
        self.error: EatError | None = None
        self._last_acts: list[Callable[[], None]] = []
        self._drain_seconds = drain_seconds
        self._timers: list[threading.Timer] = []
        self._ending = threading.Lock()
        self._before: dict[int, Any] = {}
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._on_signal)
        threading.Thread(target=self._listen, name="eat-signals", daemon=True).start()
        if parent := os.environ.get(PARENT_VARIABLE):
            threading.Thread(target=self._watch, args=(int(parent),), name="eat-parent", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.event.set()
        for timer in self._timers:
            timer.cancel()
        os.close(self._writer)

    @property
    def exit_code(self) -> int:
        """That of the error, 130 after Ctrl-C, else 0: a drain is a success."""
        if self.error is not None:
            return self.error.exit_code
        return 130 if self.signal == signal.SIGINT else 0

    def before_forced_end(self, act: Callable[[], None]) -> None:
        """Have `act` called before the process ends without unwinding; it has RELEASE_SECONDS."""
        self._last_acts.append(act)

    def request(self) -> None:
        """Stop as after a first signal."""
        self.event.set()

    def fail(self, error: EatError) -> None:
        """Stop because no document can succeed here: a wrong key, an engine that broke or cannot do what a run asks."""
        self.error = self.error or error
        self._drain(min(self._drain_seconds, BROKEN_SECONDS if isinstance(error, EngineBroken) else math.inf))

    def end(self, error: EatError) -> None:
        """Stop now, as after a second signal: what is under way will never come to an end."""
        self.error = self.error or error
        self.event.set()
        self._end_now()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # A handler may interrupt any line, also one that holds a lock; all it does is to wake the listener.
        os.write(self._writer, bytes([number]))

    def _listen(self) -> None:
        while number := os.read(self._reader, 1):
            if self.signal is not None:
                self._end_now()
            self.signal = number[0]
            self._drain(self._drain_seconds)
        os.close(self._reader)

    def _drain(self, seconds: float) -> None:
        self.event.set()
        if seconds < math.inf:
            timer = threading.Timer(seconds, self._late, args=(seconds,))
            timer.daemon = True
            self._timers.append(timer)
            timer.start()

    def _late(self, seconds: float) -> None:
        log.warning("not done %.0f s after it was asked to stop; the current documents are released", seconds)
        self._end_now()

    def _end_now(self) -> None:
        if not self._ending.acquire(blocking=False):
            return  # another thread does it
        threading.Timer(RELEASE_SECONDS, os._exit, args=(self.exit_code,)).start()
        if self.error is not None:
            sys.stderr.write(f"eat: {self.error}\n")
        try:
            for act in self._last_acts:
                act()
        finally:
            os._exit(self.exit_code)

    def _watch(self, parent: int) -> None:
        while not self.event.wait(1.0):
            if os.getppid() != parent:
                log.warning("the process that started this worker is gone; draining")
                self._drain(self._drain_seconds)
