"""Cuts a file into its JSON objects, whatever stands between them: an array, JSON Lines, or pretty-printed records.

Streams: the released EACL files are one line of half a megabyte. Finds where an object begins and ends; whether it is
JSON is for the parser to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from eat_worker.errors import CorpusError

LONGEST = 2**20  # bytes of one object; what goes on longer has lost a bracket or a quote
_CHUNK = 2**16
_BOM = b"\xef\xbb\xbf"
_SIGN = re.compile(rb'\\.|["{}\n]', re.DOTALL)
_BETWEEN = b" \t\r\n,[]"  # what may stand between objects


class Found(NamedTuple):
    """The bytes of one object, or of what stands where one should; `line` counts from 1: where it begins."""

    line: int
    raw: bytes


def objects_in(path: Path | str) -> Iterator[Found]:
    """The objects of a file in order, and everything else that is neither white space, comma nor square bracket.

    Raises CorpusError when the file cannot be read or is empty.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(len(_BOM))
            if not head:
                raise CorpusError(f"nothing to do: {path} is empty")
            if head.startswith(b"\x1f\x8b"):
                raise CorpusError(f"{path} is compressed; convert it: gzip -dc {path} > new file")
            chunks = iter(lambda: file.read(_CHUNK), b"")
            yield from _cut([b"" if head == _BOM else head], chunks)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}") from error


def _cut(first: Iterable[bytes], chunks: Iterable[bytes]) -> Iterator[Found]:
    cutter = _Cutter()
    for part in (first, chunks):
        for chunk in part:
            yield from cutter.feed(chunk)
    yield from cutter.end()


class _Cutter:
    """Where in an object the reading stands: how deep, inside a string or not."""

    def __init__(self) -> None:
        self._data = b""  # from the end of the last object on
        self._at = 0  # how much of it has been looked at
        self._begin = -1  # where in it an object began
        self._line = self._begun_on = 1
        self._depth = 0
        self._quoted = False

    def feed(self, chunk: bytes) -> Iterator[Found]:
        self._data += chunk
        # A sign may need the byte behind it: the last one waits for the next chunk.
        while sign := _SIGN.search(self._data, self._at, len(self._data) - 1):
            yield from self._seen(sign)
        self._at = max(self._at, len(self._data) - 2)
        if len(self._data) > LONGEST:
            yield from self._take(len(self._data) - 1)

    def end(self) -> Iterator[Found]:
        yield from self.feed(b"\n\n")
        yield from self._take(len(self._data))

    def _seen(self, sign: re.Match[bytes]) -> Iterator[Found]:
        what, self._at = sign.group(), sign.end()
        if what == b"\n":
            # No string goes on behind a line end, and no nested object begins a line at its first column.
            broken = self._quoted or self._data[self._at : self._at + 1] == b"{"
            if self._begin < 0 or broken:
                yield from self._take(sign.start())
                self._at = 1
            self._line += 1
        elif what == b'"' and self._begin >= 0:
            self._quoted = not self._quoted
        elif what == b"{" and not self._quoted:
            if self._begin < 0:
                yield from self._take(sign.start())
                self._at, self._begin, self._begun_on = 1, 0, self._line
            self._depth += 1
        elif what == b"}" and not self._quoted and self._begin >= 0:
            self._depth -= 1
            if not self._depth:
                yield from self._take(self._at)

    def _take(self, end: int) -> Iterator[Found]:
        """What has been read up to `end` is one thing; begin anew behind it."""
        raw, self._data = self._data[:end], self._data[end:]
        line = self._begun_on if self._begin >= 0 else self._line
        self._at, self._begin, self._depth, self._quoted = 0, -1, 0, False
        if raw.strip(_BETWEEN):
            yield Found(line, raw.strip())
