"""Which of the sequences that wait join next: as many as fit, in the order they came, and none that had better wait.

Knows lengths, counts and common beginnings; knows no tensor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eat_worker.engines.qwen.guards import Caps
from eat_worker.engines.qwen.kv_cache import rounded, shared_tokens
from eat_worker.engines.qwen.token_sequence import TokenSequence

WORTH = 32  # tokens; a shorter common beginning is computed faster than waited for


@dataclass(frozen=True, slots=True)
class Plan:
    """How much may run at a time."""

    slots: int  #: sequences
    tokens: int  #: columns of keys and values in all; half of them are for the prefix cache
    #: One sequence at a time, each computed from its first token on: its answer depends on nothing but its request.
    deterministic: bool


class Admission:
    """The sequences that wait, and the rule by which they join."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.caps = Caps()
        self.waiting: deque[TokenSequence] = deque()

    def put_back(self, sequences: Sequence[TokenSequence]) -> None:
        """Let sequences wait that were about to run, before all others."""
        self.waiting.extendleft(reversed(sequences))

    def slots(self, columns: int) -> int:
        """How many sequences of so many columns may run at a time; one always may try."""
        room = max(1, self._plan.tokens // 2 // rounded(columns))
        cap = self.caps.sequences(columns)
        return min(self._plan.slots, room, room if cap is None else cap)

    def admit(
        self,
        running: Sequence[TokenSequence],
        ready: Callable[[TokenSequence], bool],
        cached_length: Callable[[TokenSequence], int],
    ) -> list[TokenSequence]:
        """The sequences that join now: the first that wait and fit, without those that begin like one that joins now.

        `ready` says whether a sequence may run at all; one that may not is dropped. `cached_length` says of how many
        tokens of its beginning keys and values exist already.
        """
        admitted: list[TokenSequence] = []
        held: list[TokenSequence] = []
        while self.waiting and self._fits([*running, *admitted, self.waiting[0]]):
            sequence = self.waiting.popleft()
            if ready(sequence):
                (held if self._had_better_wait(sequence, admitted, cached_length) else admitted).append(sequence)
        self.put_back(held)
        return admitted

    def _fits(self, sequences: Sequence[TokenSequence]) -> bool:
        return len(sequences) <= self.slots(max(sequence.need for sequence in sequences))

    def _had_better_wait(
        self, sequence: TokenSequence, admitted: Sequence[TokenSequence], cached_length: Callable[[TokenSequence], int]
    ) -> bool:
        """Whether an admitted sequence will soon hold much more of this one's beginning than is cached now."""
        alike = [
            shared_tokens(sequence.packed, other.packed) for other in admitted if other.adapter == sequence.adapter
        ]
        longest = max(alike, default=0)
        return longest >= WORTH and longest - cached_length(sequence) >= WORTH
