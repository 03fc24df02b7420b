"""A thread with a beginning and an end, both given by a `with` block.

Knows threads. Knows nothing of what is done in them.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)


class Background:
    """Calls `_step`, again and again, in a thread of its own while the block lasts; a step that fails is only logged.

    `every` is the pause in seconds before the first step, unless `at_once`, and after one that failed. Leaving the
    block waits for the step under way, `join_timeout` seconds at most where that is given.
    """

    def __init__(self, name: str, every: float, *, at_once: bool = False, join_timeout: float | None = None) -> None:
        self._every = every
        self._first = 0.0 if at_once else every
        self._join_timeout = join_timeout
        self._ended = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.is_alive = self._thread.is_alive

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._thread.join(self._join_timeout)

    def nudge(self) -> None:
        """Take the next step at once."""
        self._wake.set()

    def _step(self) -> float:
        """Do once what this thread is for; the seconds until the next time."""
        raise NotImplementedError  # every kind of thread has its own

    def _end(self) -> None:
        """Take no further step."""
        self._ended = True
        self._wake.set()

    def _run(self) -> None:
        pause = self._first
        while not self._ends_within(pause):
            try:
                pause = self._step()
            except Exception:
                # Liveness is what breaks in queues: this thread outlives any fault and says so.
                log.exception("the thread %s failed; it continues", self._thread.name)
                pause = self._every

    def _ends_within(self, seconds: float) -> bool:
        self._wake.wait(seconds)
        self._wake.clear()
        return self._ended
