"""Where requests come in: any thread puts sequences, the one that owns the model takes them.

Knows sequences and threads; knows no model. Every sequence that was let in is remembered until its future is done, so
that none is forgotten when everything fails.
"""

from __future__ import annotations

import queue
import threading
import time

from eat_worker.engines.qwen.token_sequence import TokenSequence
from eat_worker.errors import EatError, EngineUnavailable

WINDOW = 0.01  # seconds in which an idle engine collects requests before it begins


class Intake:
    """The queue in front of a model."""

    def __init__(self) -> None:
        self._came: queue.SimpleQueue[TokenSequence | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._refusal: EatError | None = None  # why nobody is let in any more
        self._unanswered: dict[TokenSequence, None] = {}
        self._closing = False

    def put(self, sequence: TokenSequence) -> None:
        """Let a sequence in. Raises EngineUnavailable or EngineBroken when the door is closed."""
        with self._door:
            if self._refusal is not None:
                raise type(self._refusal)(*self._refusal.args)
            self._unanswered[sequence] = None
            sequence.future.add_done_callback(lambda _: self._unanswered.pop(sequence))
            self._came.put(sequence)

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
        sequences = list(self._unanswered)
        for sequence in sequences:
            sequence.future.set_exception(type(error)(*error.args))
        return len(sequences)

    def take(self, *, idle: bool, enough: int) -> list[TokenSequence] | None:
        """The sequences that came; None when the door is closed and none is left.

        `idle`: there is nothing else to do, so wait for one, and then WINDOW for up to `enough`.
        """
        sequences: list[TokenSequence] = []
        if idle and not self._closing:
            self._get(sequences, None)
            end = time.monotonic() + WINDOW
            while len(sequences) < enough and not self._closing and (left := end - time.monotonic()) > 0:
                self._get(sequences, left)
        while not self._came.empty():
            self._get(sequences, 0)
        return None if idle and self._closing and not sequences else sequences

    def _get(self, sequences: list[TokenSequence], timeout: float | None) -> None:
        try:
            sequence = self._came.get(timeout=timeout)
        except queue.Empty:
            return
        if sequence is None:
            self._closing = True
        else:
            sequences.append(sequence)
