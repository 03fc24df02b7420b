"""The way in and out of an engine: open while it serves, and closed only when everybody has left.

Knows threads. Knows nothing of what an engine does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from eat_worker.errors import EngineUnavailable


class Gate:
    """Counts the requests inside an engine."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._open = True

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Be inside for the block. Raises EngineUnavailable when the engine was closed."""
        with self._changed:
            if not self._open:
                raise EngineUnavailable("the engine was closed")
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def close(self) -> bool:
        """Let nobody in any more and wait until all are out; False when that was done before."""
        with self._changed:
            first, self._open = self._open, False
            self._changed.wait_for(lambda: self._inside == 0)
        return first
