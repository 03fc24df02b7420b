"""Which of the rows that wait join next: as many as fit, in the order they came, and none that had better wait.

Knows lengths, counts and common beginnings; knows no tensor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eat_worker.engines.qwen.guards import Caps
from eat_worker.engines.qwen.key_values import rounded, shared_tokens
from eat_worker.engines.qwen.row import Row

WORTH = 32  # tokens; a shorter common beginning is computed faster than waited for


@dataclass(frozen=True, slots=True)
class Plan:
    """How much may run: `slots` rows at a time, `tokens` columns of keys and values in all, half of them kept ones.

    `deterministic`: one row at a time, each computed from its first token on, so that an answer depends on nothing but
    its request.
    """

    slots: int
    tokens: int
    deterministic: bool


class Admission:
    """The rows that wait, and the rule by which they join."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.caps = Caps()
        self.waiting: deque[Row] = deque()

    def put_back(self, rows: Sequence[Row]) -> None:
        """Let rows wait that were about to run, before all others."""
        self.waiting.extendleft(reversed(rows))

    def slots(self, columns: int) -> int:
        """How many rows of so many columns may run at a time; one always may try."""
        room = max(1, self._plan.tokens // 2 // rounded(columns))
        cap = self.caps.rows(columns)
        return min(self._plan.slots, room, room if cap is None else cap)

    def wave(self, running: Sequence[Row], ready: Callable[[Row], bool], there: Callable[[Row], int]) -> list[Row]:
        """Rows that join now: the first that wait and fit, without those that begin like one that joins now.

        `ready` tells whether a row may run at all; one that may not is dropped. `there` tells how much of a row's
        beginning somebody has read already.
        """
        wave: list[Row] = []
        held: list[Row] = []
        while self.waiting and self._fits([*running, *wave, self.waiting[0]]):
            row = self.waiting.popleft()
            if ready(row):
                (held if self._had_better_wait(row, wave, there) else wave).append(row)
        self.put_back(held)
        return wave

    def _fits(self, rows: Sequence[Row]) -> bool:
        return len(rows) <= self.slots(max(row.need for row in rows))

    def _had_better_wait(self, row: Row, wave: Sequence[Row], there: Callable[[Row], int]) -> bool:
        """Whether some row of the wave will have read much more of this one's beginning than is there now."""
        alike = [shared_tokens(row.packed, other.packed) for other in wave if other.adapter == row.adapter]
        longest = max(alike, default=0)
        return longest >= WORTH and longest - there(row) >= WORTH
