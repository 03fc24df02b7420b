"""Which slot of a llama.cpp server answers which chat: the bookkeeping that keeps prompt caches warm.

On a CPU prefill is most of the bill. A slot still holds the tokens of its last prompt, so a chat goes on in the slot
that holds its history, and a new chat takes the free slot that holds most of its beginning. Knows token ids only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

GRACE = 0.5  # seconds a slot waits for the next round of its chat before another chat may take it


@dataclass(slots=True)
class Slot:
    """One sequence of the server: the tokens it holds, under which adapter state, and the chat it belongs to."""

    index: int
    held: list[int] = field(default_factory=list)
    adapter: bool = False
    session: str | None = None
    busy: bool = False
    used_at: float = 0.0

    def shares(self, ids: Sequence[int], adapter: bool) -> int:
        """How many leading tokens of `ids` this slot holds already."""
        return shared_length(self.held, ids) if self.adapter == adapter else 0


class Slots:
    """Hands slots out, one chat each; waits when all are taken."""

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = [Slot(index) for index in range(count)]
        self._free = threading.Condition()
        self._clock = clock

    @contextmanager
    def borrow(self, session: str, ids: Sequence[int], adapter: bool, *, last: bool) -> Iterator[Slot]:
        """The slot for one round of `session`; it stays reserved for the session's next round unless `last`."""
        slot = self._take(session, ids, adapter)
        try:
            yield slot
        finally:
            with self._free:
                slot.busy = False
                slot.used_at = self._clock()
                if last:
                    slot.session = None
                self._free.notify_all()

    def busy(self) -> int:
        """How many slots are answering now."""
        return sum(slot.busy for slot in self._slots)

    def _take(self, session: str, ids: Sequence[int], adapter: bool) -> Slot:
        with self._free:
            while True:
                slot = self._choose(session, ids, adapter)
                if slot is not None:
                    break
                self._free.wait(GRACE / 4)
            slot.session = session
            slot.busy = True
            return slot

    def _choose(self, session: str, ids: Sequence[int], adapter: bool) -> Slot | None:
        for slot in self._slots:
            if slot.session == session:
                return None if slot.busy else slot
        now = self._clock()
        idle = [slot for slot in self._slots if not slot.busy]
        open_ = [slot for slot in idle if slot.session is None or now - slot.used_at > GRACE]
        return max(open_, key=lambda slot: (slot.shares(ids, adapter), -slot.used_at), default=None)


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the common beginning of two token sequences."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
