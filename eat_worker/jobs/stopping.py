"""When this process must end: SIGTERM or Ctrl-C once means finish the round, twice means now.

Knows signals, pipes and the process that started this one. Knows neither documents nor queues.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from eat_worker.errors import EatError

log = logging.getLogger(__name__)

# Set by `jobs.local` for the workers it starts: they drain when that process is gone, whatever ended it.
PARENT_VARIABLE = "_EAT_PARENT"
RELEASE_SECONDS = 5.0


class Stop:
    """Why and whether this process ends. While the block lasts it owns SIGTERM and SIGINT; needs the main thread.

    `event` is set by the first signal, by `request` or when the parent process is gone. The second signal calls
    `at_once` in a thread of its own, then ends the process without unwinding.
    """

    def __init__(self, at_once: Callable[[], None] = lambda: None) -> None:
        self.event = threading.Event()
        self.signal: int | None = None
        self.error: EatError | None = None
        self.at_once = at_once
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
        os.close(self._writer)

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, else 0: a drain is a success."""
        return 130 if self.signal == signal.SIGINT else 0

    def request(self) -> None:
        """Stop as after a first signal."""
        self.event.set()

    def fail(self, error: EatError) -> None:
        """Stop because no document can succeed here: a wrong key, an engine that cannot do what a run asks."""
        self.error = self.error or error
        self.event.set()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # A handler may interrupt any line, also one that holds a lock; all it does is to wake the listener.
        os.write(self._writer, bytes([number]))

    def _listen(self) -> None:
        while number := os.read(self._reader, 1):
            if self.signal is not None:
                self._end_now()
            self.signal = number[0]
            self.event.set()
        os.close(self._reader)

    def _end_now(self) -> None:
        threading.Timer(RELEASE_SECONDS, os._exit, args=(self.exit_code,)).start()
        try:
            self.at_once()
        finally:
            os._exit(self.exit_code)

    def _watch(self, parent: int) -> None:
        while not self.event.wait(1.0):
            if os.getppid() != parent:
                log.warning("the process that started this worker is gone; draining")
                self.event.set()
