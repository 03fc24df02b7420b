"""Opens a corpus file and cuts it into lines: gzip, byte order marks and endless lines end here.

Lines are bytes, cut at "\\n" only: U+2028, U+0085, form feeds and a lone "\\r" are data. Memory grows neither with the
file nor with its lines. Knows nothing of records.
"""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from eat_worker.errors import CorpusError

MAX_LINE_BYTES = 16 * 2**20
_KEPT_OF_LONG_LINE = 4096  # enough to recognise the line in quarantine
_CHUNK = 2**16
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_FOREIGN = {  # first bytes -> what it is, and the command that makes it readable
    b"\x28\xb5\x2f\xfd": ("zstd-compressed", "zstd -dc"),
    b"BZh": ("bzip2-compressed", "bzip2 -dc"),
    b"\xfd7zXZ": ("xz-compressed", "xz -dc"),
    b"PK\x03\x04": ("a zip archive", "unzip -p"),
    b"\xff\xfe\x00\x00": ("UTF-32", "iconv -f UTF-32 -t UTF-8"),
    b"\x00\x00\xfe\xff": ("UTF-32", "iconv -f UTF-32 -t UTF-8"),
    b"\xff\xfe": ("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": ("UTF-16", "iconv -f UTF-16 -t UTF-8"),
}


class Line(NamedTuple):
    """One line with its end. `dropped` counts the bytes beyond the limit, which are not in `raw`.

    `cut`: the compressed data broke off here; `raw` is what was left of the line, possibly nothing.
    """

    number: int
    byte: int
    raw: bytes
    dropped: int = 0
    cut: bool = False


class Lines:
    """The lines of one open file, to be iterated once. Every byte is in exactly one line or in the byte order mark.

    `limit` bounds the bytes of a line. `bom` is the size of the mark that was skipped. `damage` tells, after the last
    line, how the gzip data broke off.
    """

    def __init__(self, name: str, chunks: Iterator[bytes], max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.name = name
        self.bom = 0
        self.damage = ""
        self.limit = max_line_bytes
        head, chunks = _peek(chunks)
        if head.startswith(_GZIP):
            head, chunks = _peek(self._inflated(chunks))
        _refuse_foreign(name, head)
        self._stream = io.BufferedReader(_Chunks(chunks), _CHUNK)
        if head.startswith(_BOM):
            self.bom = len(self._stream.read(len(_BOM)))
        if len(head) == self.bom and not self.damage:
            raise CorpusError(f"nothing to do: {name} has no records")

    def __iter__(self) -> Iterator[Line]:
        number, byte, open_end = 0, self.bom, False
        while raw := self._stream.readline(self.limit + 1):
            number += 1
            dropped = 0
            open_end = not raw.endswith(b"\n")
            if open_end and len(raw) > self.limit:
                kept = raw[:_KEPT_OF_LONG_LINE]
                dropped = len(raw) - len(kept) + self._skip_line()
                raw = kept
            cut = open_end and not dropped and bool(self.damage)
            yield Line(number, byte, raw, dropped, cut)
            byte += len(raw) + dropped
        if self.damage and not open_end:
            yield Line(number + 1, byte, b"", cut=True)

    def _skip_line(self) -> int:
        skipped = 0
        while part := self._stream.readline(_CHUNK):
            skipped += len(part)
            if part.endswith(b"\n"):
                break
        return skipped

    def _inflated(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The decompressed chunks of any number of gzip members, each bounded in size; a fault ends them early."""
        inflate = zlib.decompressobj(wbits=31)
        pending = False  # a member has begun and not ended
        try:
            for chunk in chunks:
                data = chunk
                while data:
                    if inflate.eof:  # another member, after padding perhaps
                        data = data.lstrip(b"\x00")
                        if not data:
                            break
                        inflate = zlib.decompressobj(wbits=31)
                    yield inflate.decompress(data, _CHUNK)
                    data = inflate.unused_data or inflate.unconsumed_tail
                    pending = not inflate.eof
            while pending and (rest := inflate.decompress(inflate.unconsumed_tail, _CHUNK)):
                yield rest
            if pending and not inflate.eof:
                self.damage = "the gzip data ends early"
        except zlib.error as error:
            self.damage = f"the gzip data is damaged ({error})"


class _Chunks(io.RawIOBase):
    """Chunks of bytes as a raw stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(cast("bytearray", buffer))
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


@contextmanager
def open_lines(path: Path | str, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Lines]:
    """The lines of a file, plain or gzip, or of standard input for "-".

    Raises CorpusError when the file cannot be read at all, is empty, or is in another encoding or compression.
    """
    if str(path) == "-":
        yield Lines("<stdin>", _chunks("<stdin>", sys.stdin.buffer), max_line_bytes)
        return
    name = str(path)
    with _open(Path(path), name) as stream:
        yield Lines(name, _chunks(name, stream), max_line_bytes)


def _open(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise CorpusError(f"there is no file {name}") from None
    except IsADirectoryError:
        raise CorpusError(f"{name} is a folder; name a file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unreadable(name, error) from error


def _chunks(name: str, stream: BinaryIO) -> Iterator[bytes]:
    # read1 gives what a pipe has now; read would wait until the chunk is full.
    read = stream.read1 if isinstance(stream, io.BufferedReader) else stream.read
    try:
        while chunk := read(_CHUNK):
            yield chunk
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError | ValueError) -> CorpusError:
    return CorpusError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}")


def _peek(chunks: Iterator[bytes], size: int = 8) -> tuple[bytes, Iterator[bytes]]:
    """The first `size` bytes, fewer only at the end of the data, and the chunks as if nothing had been taken."""
    taken = b""
    for chunk in chunks:
        taken += chunk
        if len(taken) >= size:
            break
    return taken[:size], chain((taken,), chunks)


def _refuse_foreign(name: str, head: bytes) -> None:
    for magic, (kind, command) in _FOREIGN.items():
        if head.startswith(magic):
            raise CorpusError(f"{name} is {kind}; convert it: {command} {name} > new file")
    if b"\x00" in head[:4]:
        raise CorpusError(
            f"{name} looks like UTF-16 or UTF-32; convert it: iconv -f UTF-16LE -t UTF-8 {name} > new file"
        )
