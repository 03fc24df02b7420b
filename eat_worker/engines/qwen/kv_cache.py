"""Keys and values: those of the sequences that run, and those kept because the next prompt may begin the same way.

A running sequence has a slot, and token number i of its chat lies in column i, so that a sequence that joins or leaves
moves no other. Knows tensors and token ids; knows no request.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch

_STEP = 128  # columns by which caches grow


@dataclass(frozen=True, slots=True)
class Shape:
    """What the keys and values of one token are made of."""

    layers: int
    heads: int
    size: int
    dtype: torch.dtype
    device: torch.device

    @property
    def bytes_per_token(self) -> int:
        """Memory of one column of one sequence."""
        return 2 * self.layers * self.heads * self.size * self.dtype.itemsize


class KVCache:
    """Keys and values of `sequences` chats of up to `columns` tokens."""

    def __init__(self, shape: Shape, slots: int, columns: int) -> None:
        self._shape, self.slots, self.columns = shape, slots, rounded(columns)
        # Per layer (2, slots, heads, columns, size): keys, values. Zeros: what is masked out still must be a number.
        self._layers = [self._layer() for _ in range(shape.layers)]

    def _layer(self) -> torch.Tensor:
        shape = self._shape
        size = (2, self.slots, shape.heads, self.columns, shape.size)
        return torch.zeros(size, dtype=shape.dtype, device=shape.device)

    def resize(self, slots: int, columns: int, front: int, back: int, kept: int) -> None:
        """Another number of slots and columns; the first `front` and last `back` slots keep `kept` columns.

        Layer by layer: old and new of one layer exist at a time.
        """
        before, self.slots, self.columns = self.slots, slots, rounded(columns)
        for at, old in enumerate(self._layers):
            new = self._layer()
            new[:, :front, :, :kept] = old[:, :front, :, :kept]
            new[:, slots - back :, :, :kept] = old[:, before - back :, :, :kept]
            self._layers[at] = new

    def window(self, first: int, positions: torch.Tensor, width: int) -> Window:
        """What a forward pass over the slots from `first` on reads and writes; see `Window`."""
        return Window(self._layers, first, positions, width)

    def fill(self, slot: int, kept: torch.Tensor, length: int) -> None:
        """Put the first `length` tokens that `kept`, of shape (layers, 2, heads, tokens, size), holds into a slot."""
        for layer, states in zip(self._layers, kept, strict=True):
            layer[:, slot, :, :length] = states[:, :, :length]

    def copy(self, origin: int, slot: int, length: int) -> None:
        """Copy the first `length` columns of one slot to another."""
        for layer in self._layers:
            layer[:, slot, :, :length] = layer[:, origin, :, :length]

    def taken(self, slot: int, length: int) -> torch.Tensor:
        """A copy of a slot's first `length` columns, (layers, 2, heads, length, size)."""
        return torch.stack([layer[:, slot, :, :length] for layer in self._layers])

    def wipe(self, slot: int) -> None:
        """Zeros into a slot that may hold NaN: masked out, NaN times nothing is NaN."""
        for layer in self._layers:
            layer[:, slot] = 0


class Window:
    """The part of a cache that one forward pass works on, in the role of transformers' cache.

    Query j of sequence i is at `positions[i, j]`, (sequences, queries) int64: it is written to that column of slot
    `first` + i, and attention reads the first `width` columns.
    """

    def __init__(self, layers: list[torch.Tensor], first: int, positions: torch.Tensor, width: int) -> None:
        self._layers, self.positions, self._width = layers, positions, width
        self._slots = slice(first, first + len(positions))
        self._index = torch.arange(first, first + len(positions), device=positions.device)[:, None]

    def mask(self) -> torch.Tensor:
        """(sequences, 1, queries, width) bool: each query sees the columns up to its own."""
        columns = torch.arange(self._width, device=self.positions.device)
        return columns[None, None, None, :] <= self.positions[:, None, :, None]

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the queries' keys and values, (sequences, heads, queries, size); returns those of all columns."""
        held = self._layers[layer]
        held[0][self._index, :, self.positions] = keys.transpose(1, 2)
        held[1][self._index, :, self.positions] = values.transpose(1, 2)
        return held[0][self._slots, :, : self._width], held[1][self._slots, :, : self._width]


@dataclass(frozen=True, slots=True)
class _Kept:
    adapter: bool
    states: torch.Tensor  # (layers, 2, heads, tokens, size)


class PrefixCache:
    """Keys and values of chats that are not running, up to `budget` tokens; the longest unused go first.

    Ids are packed, four bytes each (`token_sequence.packed`).
    """

    def __init__(self, budget: int) -> None:
        self._budget, self._tokens = budget, 0
        self._kept: OrderedDict[tuple[bool, bytes], _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, ids: bytes, adapter: bool, states: torch.Tensor, *, last: bool) -> None:
        """Keep a chat. `last`: it does not go on, so it only serves others that begin like it and is dropped first."""
        for key in [key for key in self._kept if key[0] == adapter and ids.startswith(key[1])]:
            self._drop(key)
        self._kept[adapter, ids] = _Kept(adapter, states)
        self._tokens += len(ids) // 4
        if last:
            self._kept.move_to_end((adapter, ids), last=False)
        while self._tokens > self._budget:
            self._drop(next(iter(self._kept)))

    def longest(self, ids: bytes, adapter: bool) -> tuple[torch.Tensor | None, int]:
        """The chat that has most of the beginning of `ids`, and how many tokens of it."""
        found = max(
            ((shared_tokens(ids, key[1]), key) for key in self._kept if key[0] == adapter),
            default=(0, None),
            key=lambda pair: pair[0],
        )
        length, key = found
        if key is None or not length:
            return None, 0
        self._kept.move_to_end(key)
        return self._kept[key].states, length

    def clear(self) -> None:
        """Give the memory back."""
        self._kept.clear()
        self._tokens = 0

    def _drop(self, key: tuple[bool, bytes]) -> None:
        del self._kept[key]
        self._tokens -= len(key[1]) // 4


def shared_tokens(one: bytes, other: bytes) -> int:
    """The length of the common beginning of two packed sequences, in tokens."""
    low, high = 0, min(len(one), len(other)) // 4
    while low < high:
        middle = (low + high + 1) // 2
        if one[4 * low : 4 * middle] == other[4 * low : 4 * middle]:
            low = middle
        else:
            high = middle - 1
    return low


def rounded(columns: int) -> int:
    """The columns that a cache for so many has."""
    return -(-columns // _STEP) * _STEP
