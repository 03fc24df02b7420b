"""Ends a worker whose engine is stuck. Its heartbeat would keep the documents in its hands for ever.

Knows how long the engine has been silent. Knows neither engine nor documents.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from eat_worker.errors import EngineBroken

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 5.0


class Watchdog:
    """Calls `on_stuck` once, from a thread of its own, when `silent_for` exceeds `stuck_seconds`.

    `silent_for` gives the seconds for which rounds have been asked and none has come to an end, well or not.
    """

    def __init__(
        self, silent_for: Callable[[], float], stuck_seconds: float, on_stuck: Callable[[EngineBroken], None]
    ) -> None:
        self._silent_for = silent_for
        self._stuck_seconds = stuck_seconds
        self._on_stuck = on_stuck
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="eat-watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(min(LONGEST_PAUSE_SECONDS, self._stuck_seconds / 4)):
            silent = self._silent_for()
            if silent > self._stuck_seconds:
                error = EngineBroken(f"the engine has answered nothing for {silent:.0f} s; this process ends")
                log.critical("%s", error)
                self._on_stuck(error)
                return
