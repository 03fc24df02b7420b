"""Ends connections that do not answer. A server that is gone, or a network that swallows everything, says nothing at
all, and whoever waits for it would wait for ever: the heartbeat of a worker too.

Knows sockets and time. Knows no statement.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

LOOK_SECONDS = 1.0


class Deadlines:
    """Watches connections at work; one that is at it for more than `seconds` is shut down, and its user sees it end.

    All methods may be called from many threads.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        # By use and not by file descriptor: one that the driver closed may be another user's before this use has ended.
        self._due: dict[object, tuple[int, float]] = {}
        self._watcher: threading.Thread | None = None

    @contextmanager
    def watching(self, descriptor: int) -> Iterator[None]:
        """Watch the connection of that file descriptor while the block lasts."""
        use = object()
        with self._lock:
            self._due[use] = descriptor, self._clock() + self._seconds
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._run, name="eat-deadlines", daemon=True)
                self._watcher.start()
        try:
            yield
        finally:
            with self._lock:
                self._due.pop(use, None)

    def end_overdue(self) -> int:
        """Shut down every connection that is past its time; how many there were."""
        # Under the lock, so that no descriptor is given back, and to somebody else, while it is being shut down.
        with self._lock:
            now = self._clock()
            overdue = [use for use, (_, due) in self._due.items() if due < now]
            for use in overdue:
                descriptor, _ = self._due.pop(use)
                _shut_down(descriptor)
        return len(overdue)

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            self.end_overdue()


def _shut_down(descriptor: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
