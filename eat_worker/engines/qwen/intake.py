"""Where requests come in: any thread puts rows, the one that owns the model takes them.

Knows rows and threads; knows no model. Every row that was let in is remembered until its future is done, so that none
is forgotten when everything fails.
"""

from __future__ import annotations

import queue
import threading
import time

from eat_worker.engines.qwen.row import Row
from eat_worker.errors import EatError, EngineUnavailable

WINDOW = 0.01  # seconds in which an idle engine collects requests before it begins


class Intake:
    """The queue in front of a model."""

    def __init__(self) -> None:
        self._came: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._refusal: EatError | None = None  # why nobody is let in any more
        self._unanswered: dict[Row, None] = {}
        self._closing = False

    def put(self, row: Row) -> None:
        """Let a row in. Raises EngineUnavailable or EngineBroken when the door is closed."""
        with self._door:
            if self._refusal is not None:
                raise type(self._refusal)(*self._refusal.args)
            self._unanswered[row] = None
            row.future.add_done_callback(lambda _: self._unanswered.pop(row))
            self._came.put(row)

    def close(self) -> None:
        """Let nobody in any more; those inside are answered."""
        with self._door:
            if self._refusal is None:
                self._refusal = EngineUnavailable("the engine was closed")
                self._came.put(None)

    def give_up(self, error: EatError) -> int:
        """Let nobody in any more and tell those inside, too; how many they were."""
        with self._door:
            self._refusal = error
        rows = list(self._unanswered)
        for row in rows:
            row.future.set_exception(type(error)(*error.args))
        return len(rows)

    def take(self, *, idle: bool, enough: int) -> list[Row] | None:
        """The rows that came; None when the door is closed and none is left.

        `idle`: there is nothing else to do, so wait for one, and then WINDOW for up to `enough`.
        """
        rows: list[Row] = []
        if idle and not self._closing:
            self._get(rows, None)
            end = time.monotonic() + WINDOW
            while len(rows) < enough and not self._closing and (left := end - time.monotonic()) > 0:
                self._get(rows, left)
        while not self._came.empty():
            self._get(rows, 0)
        return None if idle and self._closing and not rows else rows

    def _get(self, rows: list[Row], timeout: float | None) -> None:
        try:
            row = self._came.get(timeout=timeout)
        except queue.Empty:
            return
        if row is None:
            self._closing = True
        else:
            rows.append(row)
