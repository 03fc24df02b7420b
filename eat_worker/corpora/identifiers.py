"""Remembers the ids of a file in 16 bytes each, so that ten million of them still fit into memory.

Knows 64-bit hashes and line numbers. Two ids that share a hash would be taken for one: once in a million files of
ten million ids.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable

_LINE_BITS = 32


class SeenIds:
    """A hash table: id -> (line, content), open addressing in two arrays that grow by doubling."""

    def __init__(self) -> None:
        self._slots = 1024
        self._keys = array("Q", bytes(8 * self._slots))
        self._values = array("Q", bytes(8 * self._slots))
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def other(self, ext_id: str, content: Hashable, line: int) -> int | None:
        """The line where `ext_id` stood with other content; None when it is new or the content is the same."""
        key = (hash(ext_id) & 0xFFFF_FFFF_FFFF_FFFF) or 1  # 0 marks a free slot
        mark = hash(content) & 0xFFFF_FFFF
        slot = self._slot(key)
        if self._keys[slot]:
            value = self._values[slot]
            return None if value >> _LINE_BITS == mark else value & 0xFFFF_FFFF
        self._keys[slot] = key
        self._values[slot] = mark << _LINE_BITS | line & 0xFFFF_FFFF
        self._used += 1
        if self._used * 3 > self._slots * 2:
            self._grow()
        return None

    def _slot(self, key: int) -> int:
        keys, mask = self._keys, self._slots - 1
        slot = key & mask
        while keys[slot] and keys[slot] != key:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._slots *= 2
        self._keys = array("Q", bytes(8 * self._slots))
        self._values = array("Q", bytes(8 * self._slots))
        for key, value in zip(keys, values, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot] = key
                self._values[slot] = value
