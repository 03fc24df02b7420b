"""Takes the wrapping off a corpus file: gzip, zstd, bzip2, xz and zip, known by their first bytes, never by a name.

Every chunk that comes out is bounded, whatever went in. Data that is damaged gives all that can be had before the
damage. Knows bytes; knows no line and no record.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Protocol

from eat_worker.errors import ConfigurationError

CHUNK = 2**16
_ZSTD_INPUT = 256  # a block of 4 bytes may become 128 KiB, and nothing bounds the output of a call but its input
_GZIP_HEAD = 10
_DEEPEST = 3  # wrappings in one another; more is a file made to be a nuisance


class Unpacked:
    """The chunks inside all wrappings of a stream; `kinds` names these from the outside in.

    `damage` tells, after the last chunk, what is wrong with the data; `broken`: it ended before its end.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.kinds: list[str] = []
        self.damage = ""
        self.broken = False
        self._chunks = chunks
        while len(self.kinds) < _DEEPEST:
            head, self._chunks = peek(self._chunks)
            kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
            if kind is None:
                break
            self.kinds.append(kind)
            self._chunks = _INFLATE[kind](self._chunks, self)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def fault(self, what: str, *, broken: bool = True) -> None:
        """Remember the first damage."""
        self.damage = self.damage or what
        self.broken = self.broken or broken


def peek(chunks: Iterator[bytes], size: int = 8) -> tuple[bytes, Iterator[bytes]]:
    """The first `size` bytes, fewer only at the end of the data, and the chunks as if nothing had been taken."""
    taken = b""
    for chunk in chunks:
        taken += chunk
        if len(taken) >= size:
            break
    return taken[:size], chain((taken,), chunks)


class _Decompressor(Protocol):
    """What the modules bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class _Input:
    """Bytes taken from chunks in the sizes that a format wants."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def some(self) -> bytes:
        """Whatever comes next; empty at the end."""
        data, self._rest = self._rest, b""
        return data or next(self._chunks, b"")

    def give_back(self, data: bytes) -> None:
        """Take this first again."""
        self._rest = data + self._rest

    def take(self, size: int) -> bytes:
        """That many bytes, fewer at the end."""
        taken = b""
        while len(taken) < size and (data := self.some()):
            taken += data
        self.give_back(taken[size:])
        return taken[:size]

    def until_nul(self) -> bool:
        """Drop a text that ends with NUL; False when the data ends before it."""
        while data := self.some():
            _, nul, rest = data.partition(b"\x00")
            if nul:
                self.give_back(rest)
                return True
        return False

    def next_after_nuls(self) -> bool:
        """Drop padding; False at the end of the data."""
        while data := self.some():
            if data := data.lstrip(b"\x00"):
                self.give_back(data)
                return True
        return False


def _gunzip(chunks: Iterator[bytes], told: Unpacked) -> Iterator[bytes]:
    """Any number of gzip members. A wrong checksum is told, and what it belongs to is given all the same."""
    source = _Input(chunks)
    while source.next_after_nuls():
        if not _gzip_header(source):
            told.fault("the gzip data ends early or is no gzip any more")
            return
        checksum, size = 0, 0
        try:
            for data in _inflate(source):
                checksum, size = zlib.crc32(data, checksum), size + len(data)
                yield data
        except zlib.error as error:
            told.fault(f"the gzip data is damaged ({error})")
            return
        trailer = source.take(8)
        if len(trailer) < 8:
            told.fault("the gzip data ends early")
        elif trailer != checksum.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little"):
            told.fault("the gzip data is damaged (its checksum is wrong)", broken=False)


def _gzip_header(source: _Input) -> bool:
    head = source.take(_GZIP_HEAD)
    if len(head) < _GZIP_HEAD or not head.startswith(b"\x1f\x8b\x08"):
        return False
    flags = head[3]
    if flags & 4:
        source.take(int.from_bytes(source.take(2), "little"))
    named = all(source.until_nul() for bit in (8, 16) if flags & bit)
    return named and (not flags & 2 or len(source.take(2)) == 2)


def _inflate(source: _Input) -> Iterator[bytes]:
    """One deflate stream, to its end or to that of the data. Raises zlib.error after the last byte that can be had."""
    inflate = zlib.decompressobj(wbits=-15)
    while not inflate.eof:
        data = inflate.unconsumed_tail or source.some()
        before = inflate.copy()
        try:
            yield inflate.decompress(data, CHUNK)
        except zlib.error:
            for place in range(len(data)):  # the call that fails gives nothing of what came before the fault
                yield before.decompress(data[place : place + 1])
            raise
        if not data:
            return
    source.give_back(inflate.unused_data)


def _with(kind: str, made: Callable[[], _Decompressor]) -> Callable[[Iterator[bytes], Unpacked], Iterator[bytes]]:
    def unpack(chunks: Iterator[bytes], told: Unpacked) -> Iterator[bytes]:
        source = _Input(chunks)
        while source.next_after_nuls():
            unpacker = made()
            try:
                while not unpacker.eof:
                    data = source.some() if unpacker.needs_input else b""
                    if unpacker.needs_input and not data:
                        told.fault(f"the {kind} data ends early")
                        return
                    yield unpacker.decompress(data, CHUNK)
            except (OSError, EOFError, lzma.LZMAError) as error:
                told.fault(f"the {kind} data is damaged ({error})")
                return
            source.give_back(unpacker.unused_data)

    return unpack


def _unzstd(chunks: Iterator[bytes], told: Unpacked) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise ConfigurationError("zstd needs one more library: pip install 'eat_worker[corpora]'") from None
    source = _Input(chunks)
    while source.next_after_nuls():
        # The window is bounded, so that a hostile header cannot ask for gigabytes.
        unpacker = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
        try:
            while not unpacker.eof:
                data = source.take(_ZSTD_INPUT)
                if not data:
                    told.fault("the zstd data ends early")
                    return
                yield unpacker.decompress(data)
        except zstandard.ZstdError as error:
            told.fault(f"the zstd data is damaged ({error})")
            return
        source.give_back(unpacker.unused_data)


_MAGIC = {
    b"\x1f\x8b\x08": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
}
_INFLATE: dict[str, Callable[[Iterator[bytes], Unpacked], Iterator[Any]]] = {
    "gzip": _gunzip,
    "zstd": _unzstd,
    "bzip2": _with("bzip2", bz2.BZ2Decompressor),
    "xz": _with("xz", lambda: lzma.LZMADecompressor(memlimit=2**27)),
}
