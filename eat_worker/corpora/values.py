"""Cuts a stream of JSON into the values of its array, or of its top, by their brackets.

Memory holds one value, up to a limit. Where a value is never closed, the next line that begins as the values of the
file begin ends it. Knows brackets and strings; parses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_MARKS = re.compile(rb'["\\{}\[\]\n]')
_QUOTE, _BACKSLASH, _NEWLINE, _ARRAY, _ARRAY_END, _OBJECT = b'"\\\n[]{'
_OPENING = frozenset(b"{[")
_KEPT = 4096  # of a value beyond the limit; enough to recognise it in quarantine


class Piece(NamedTuple):
    """A part of the stream: a value, or with `between` what stands between two. Pieces follow one another without gap.

    `line` counts from 1, `byte` from the beginning of the file; `dropped` bytes are not in `raw`. `open`: the value is
    never closed.
    """

    raw: bytes
    line: int
    byte: int
    between: bool
    dropped: int = 0
    open: bool = False


class Values:
    """The pieces of a stream, to be iterated once."""

    def __init__(self, chunks: Iterator[bytes], limit: int, byte: int = 0) -> None:
        self._chunks = chunks
        self._limit = limit
        self._first = self._byte = byte
        self._line = 1  # where the piece begins, as is _byte
        self._rest = b""  # of the piece, as far as it has been read
        self._lines = self._dropped = 0  # in the piece
        self._depth = self._base = 0  # values begin at the base: 1 inside of an array
        self._in_string = False
        self._skip = -1  # the place that a backslash protects
        self._indent: bytes | None = None  # of the lines on which values begin
        self._lost = False  # a value was never closed

    def __iter__(self) -> Iterator[Piece]:
        for chunk in self._chunks:
            yield from self._scanned(chunk)
            if len(self._rest) > self._limit:
                yield from self._rescued()
                self._shorten()
        if self._depth > self._base:
            yield from self._rescued()
        if self._rest or self._dropped:
            rest = b"" if self._dropped else self._rest
            yield self._piece(rest, between=self._depth <= self._base, unclosed=self._depth > self._base)

    def _shorten(self) -> None:
        """Forget a value beyond the limit but for its beginning; what follows is counted only."""
        kept = min(_KEPT, self._limit)
        if len(self._rest) > self._limit:
            self._lost = True  # unless it ends soon, the next line that begins like a value ends it
            self._skip -= len(self._rest)
            self._dropped += len(self._rest) - kept
            self._rest = self._rest[:kept]

    def _scanned(self, chunk: bytes) -> Iterator[Piece]:
        """The pieces that end in this chunk; what is left of it is the beginning of the next."""
        data = chunk if self._dropped else self._rest + chunk
        begin = 0
        for mark in _MARKS.finditer(data, len(data) - len(chunk)):
            cut = self._cut_at(data, mark.start())
            if cut is None or (cut[0] == begin and not self._dropped):
                continue
            end, between, unclosed = cut
            yield self._piece(data[begin:end], between=between, unclosed=unclosed)
            begin = end
        self._skip -= len(data)
        if self._dropped:
            self._dropped += len(data)
        else:
            self._rest = data[begin:]
            self._skip += len(self._rest)

    def _piece(self, raw: bytes, *, between: bool, unclosed: bool) -> Piece:
        if self._dropped:
            piece = Piece(self._rest, self._line, self._byte, between, self._dropped + len(raw), unclosed)
        else:
            piece = Piece(raw, self._line, self._byte, between, 0, unclosed)
        self._byte += len(piece.raw) + piece.dropped
        self._line += self._lines
        self._rest, self._lines, self._dropped = b"", 0, 0
        return piece

    def _cut_at(self, data: bytes, place: int) -> tuple[int, bool, bool] | None:
        """What a mark ends: the place behind it, whether it stands between values, whether it was never closed."""
        byte = data[place]
        if byte == _NEWLINE:
            self._lines += 1
            self._in_string = False  # no string of JSON has one: it was never closed
        elif self._in_string:
            self._quoted(byte, place)
        elif byte == _QUOTE:
            self._in_string = True
        elif byte in _OPENING:
            return self._opened(data, place)
        elif byte != _BACKSLASH:
            return self._closed(byte, place)
        return None

    def _quoted(self, byte: int, place: int) -> None:
        if place == self._skip:
            return
        if byte == _QUOTE:
            self._in_string = False
        elif byte == _BACKSLASH:
            self._skip = place + 1

    def _opened(self, data: bytes, place: int) -> tuple[int, bool, bool] | None:
        byte = data[place]
        if self._depth == 0 and byte == _ARRAY:
            self._depth = self._base = 1
            return None
        if self._depth > self._base:
            if self._lost and byte == _OBJECT and self._indent_at(data, place) == self._indent:
                self._depth = self._base + 1
                return place, False, True
            self._depth += 1
            return None
        self._depth += 1
        if self._indent is None and byte == _OBJECT:
            self._indent = self._indent_at(data, place)
        return place, True, False

    def _closed(self, byte: int, place: int) -> tuple[int, bool, bool] | None:
        if self._depth > self._base:
            self._depth -= 1
            return (place + 1, False, False) if self._depth == self._base else None
        if byte == _ARRAY_END:
            self._depth = self._base = 0
        return None

    def _indent_at(self, data: bytes, place: int) -> bytes | None:
        """The blanks before a place on its line; None where there is something else, or the line began long ago."""
        begin = data.rfind(b"\n", 0, place) + 1
        if not begin and self._byte != self._first:
            return None
        blanks = data[begin:place]
        return blanks if not blanks.strip(b" \t") and len(blanks) < 100 else None

    def _rescued(self) -> Iterator[Piece]:
        """The pieces of a value that is never closed, cut where a line begins like the values of the file."""
        if self._indent is None or self._lost or self._dropped:
            return
        found = re.search(rb"\n" + re.escape(self._indent) + rb"\{", self._rest)
        if not found:
            return
        data, end = self._rest, found.end() - 1
        self._lost = True
        self._lines = data.count(b"\n", 0, end)
        yield self._piece(data[:end], between=False, unclosed=True)
        self._depth, self._in_string, self._skip = self._base, False, -1
        yield from self._scanned(data[end:])
