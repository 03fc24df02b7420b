"""The pace of an engine that answers in batches, without the engine: what a load measurement is compared with.

Knows how long a batch takes. Knows nothing of what is asked.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class _Place:
    """One request's place in the queue."""

    answered: bool = False


class Batches:
    """One batch at a time, of at most `size` requests: each takes `seconds` and `seconds_per_chat` for every request.

    A batch takes whoever waits when the one before has ended; nobody is waited for.
    """

    def __init__(self, size: int, seconds: float, seconds_per_chat: float) -> None:
        self._size, self._seconds, self._seconds_per_chat = size, seconds, seconds_per_chat
        self._changed = threading.Condition()
        self._waiting: list[_Place] = []
        self._runs = False

    def take_part(self) -> None:
        """Return when the batch has ended that this request was in. One of those who wait runs it."""
        place = _Place()
        with self._changed:
            self._waiting.append(place)
        while batch := self._next(place):
            time.sleep(self._seconds + self._seconds_per_chat * len(batch))
            with self._changed:
                for one in batch:
                    one.answered = True
                self._runs = False
                self._changed.notify_all()

    def _next(self, place: _Place) -> list[_Place]:
        """The batch that is to be run now, [] once this request is answered."""
        with self._changed:
            self._changed.wait_for(lambda: place.answered or not self._runs)
            if place.answered:
                return []
            batch, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
            self._runs = True
            return batch
