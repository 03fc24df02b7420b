"""What goes wrong with a model that answers: answers in circles, memory that runs out, logits that are no numbers.

Each rule in one place; what to do about it is the scheduler's affair. Knows tokens and error messages; knows no engine.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

NGRAM = 8  # tokens; the longest run that is looked for at every token
TIMES = 8  # as often one after the other is a loop
ZLIB_EVERY = 32  # tokens between two looks at the whole answer
ZLIB_RATIO = 8.0  # bytes of an answer per byte of its compressed form; prose has 2
FAULTS_FROM = 200  # answers before the share of numeric faults means something
FAULTS_SHARE = 0.01


def loop_at_end(tokens: Sequence[int]) -> int | None:
    """Where `tokens` begins to repeat its last 1 to NGRAM tokens, once kept; None while not TIMES over."""
    for length in range(1, NGRAM + 1):
        if len(tokens) >= TIMES * length and tokens[-1] == tokens[-1 - length]:
            start = _repeats_from(tokens, length)
            if len(tokens) - start >= TIMES * length:
                return start + length
    return None


def loop_in_text(tokens: Sequence[int], text: bytes) -> int | None:
    """Like `loop_at_end` for longer runs: found by how well the text compresses."""
    if len(text) <= ZLIB_RATIO * len(zlib.compress(text)):
        return None
    runs = ((_repeats_from(tokens, length), length) for length in range(1, len(tokens) // 2 + 1))
    start, length = min(runs, default=(len(tokens), 0))
    return start + length


def _repeats_from(tokens: Sequence[int], length: int) -> int:
    """Where the run begins in which every token equals the one `length` later."""
    start = len(tokens) - length
    while start and tokens[start - 1] == tokens[start - 1 + length]:
        start -= 1
    return start


class Failure(Enum):
    """What a failed computation means for those that wait for it."""

    MEMORY = "memory"  # fewer sequences may fit
    DEVICE = "device"  # nothing computed in this process from now on can be trusted
    SEQUENCE = "sequence"  # one sequence may be to blame


_MEMORY_WORDS = ("CUDA out of memory", "not enough memory: you tried to allocate", "can't allocate memory")
_DEVICE_WORDS = ("CUDA error", "CUBLAS_STATUS", "CUDNN_STATUS", "cuDNN error", "device-side assert", "NCCL error")


def failure_of(error: RuntimeError) -> Failure:
    """The kind of a torch error. By type where torch has one, by its words where it has none (memory of a CPU)."""
    import torch

    message = str(error)
    if isinstance(error, torch.OutOfMemoryError) or any(known in message for known in _MEMORY_WORDS):
        return Failure.MEMORY
    if isinstance(error, torch.AcceleratorError) or any(known in message for known in _DEVICE_WORDS):
        return Failure.DEVICE
    return Failure.SEQUENCE


@dataclass(slots=True)
class Caps:
    """How many sequences fit the memory, by length: learnt from each time they did not. `splits` counts those times."""

    known: dict[int, int] = field(default_factory=dict)
    splits: int = 0

    def sequences(self, columns: int) -> int | None:
        """The most sequences of so many columns; None when they always fitted. Of longer ones never more fit."""
        return min((sequences for bucket, sequences in self.known.items() if bucket <= _bucket(columns)), default=None)

    def halve(self, columns: int, sequences: int) -> int:
        """Remember that so many did not fit; gives how many may try next."""
        self.splits += 1
        cap = max(1, sequences // 2)
        self.known[_bucket(columns)] = min(cap, self.known.get(_bucket(columns), cap))
        return cap


def _bucket(columns: int) -> int:
    return 1 << max(0, columns - 1).bit_length()


@dataclass(slots=True)
class FaultRate:
    """Counts answers and numeric faults. A device or adapter that is broken shows in their share, not in one."""

    answers: int = 0
    faults: int = 0

    def count(self, *, fault: bool) -> None:
        """One more request that ended."""
        self.answers += 1
        self.faults += fault

    @property
    def too_many(self) -> bool:
        """Whether the model itself must be at fault."""
        return self.answers >= FAULTS_FROM and self.faults > FAULTS_SHARE * self.answers
