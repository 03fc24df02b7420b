"""Opens a corpus file and cuts it into lines: wrappings, encodings, byte order marks and endless lines end here.

Lines are bytes, cut at "\\n" only: U+2028, U+0085, form feeds and a lone "\\r" are data. Memory grows neither with the
file nor with its lines. Knows nothing of records.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from eat_worker.corpora.encodings import UTF8_MARK, detected, encoding_of, to_utf8
from eat_worker.corpora.packing import CHUNK, Unpacked
from eat_worker.errors import CorpusError

MAX_LINE_BYTES = 8 * 2**20
SAMPLE_BYTES = 2**18
_KEPT_OF_LONG_LINE = 4096  # enough to recognise the line in quarantine
_ZIP = b"PK\x03\x04"
# What shows nothing: blanks, controls, zero-width and bidi marks, fillers and soft hyphens.
VISIBLE = re.compile(
    r"[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_LONGEST_BLANK = 1024


class Line(NamedTuple):
    """One line with its end. `dropped` counts the bytes beyond the limit, which are not in `raw`.

    `cut`: the compressed data broke off here; `raw` is what was left of the line, possibly nothing.
    """

    number: int
    byte: int
    raw: bytes
    dropped: int = 0
    cut: bool = False

    @property
    def blank(self) -> bool:
        """Whether the whole line shows nothing: the one idea of a blank line that all readers have."""
        if self.cut or self.dropped:
            return False
        shown = self.raw.strip()
        if not shown or shown[0] in _SHOWN or len(shown) > _LONGEST_BLANK:
            return not shown
        return VISIBLE.search(self.raw.decode(errors="replace")) is None


_SHOWN = frozenset(range(0x21, 0x7F))


class Lines:
    """The lines of one open file, to be iterated once. Every byte is in exactly one line or in the byte order mark.

    `limit` bounds the bytes of a line. `bom` is the size of the mark that was skipped. `damage` tells, after the last
    line, what is wrong with the compressed data. `encoding` is what the file was written in, `known_by` how that is
    known; in `kinds` is what it was wrapped in. `sample` holds its first bytes, in UTF-8 and without the mark; of a
    `live` stream those that are there.
    """

    def __init__(
        self,
        name: str,
        chunks: Iterator[bytes],
        max_line_bytes: int = MAX_LINE_BYTES,
        *,
        encoding: str | None = None,
        live: bool = True,
    ) -> None:
        self.name = name
        self.bom = 0
        self.limit = max_line_bytes
        self._unpacked = Unpacked(chunks)
        self.kinds = self._unpacked.kinds
        self.sample, chunks = _sampled(iter(self._unpacked), live=live)
        self._refuse_archive()
        self.encoding, self.known_by = (encoding_of(encoding), "as asked") if encoding else detected(self.sample)
        if self.encoding != "utf-8":
            self.sample, chunks = _sampled(to_utf8(chunks, self.encoding), live=live)
        self._stream = io.BufferedReader(_Chunks(chunks), CHUNK)
        if self.sample.startswith(UTF8_MARK):
            self.bom = len(self._stream.read(len(UTF8_MARK)))
            self.sample = self.sample[self.bom :]
        if not self.sample and not self.damage:
            raise CorpusError(f"nothing to do: {name} has no records")

    @property
    def damage(self) -> str:
        """What is wrong with the compressed data, as far as it has been read."""
        return self._unpacked.damage

    def _refuse_archive(self) -> None:
        if self.sample.startswith(_ZIP):
            raise CorpusError(f"{self.name} is a zip archive, which a pipe cannot give; name the file itself")

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
            cut = open_end and not dropped and self._unpacked.broken
            yield Line(number, byte, raw, dropped, cut)
            byte += len(raw) + dropped
        if self.damage and not (open_end and self._unpacked.broken):
            yield Line(number + 1, byte, b"", cut=True)

    def chunks(self) -> Iterator[bytes]:
        """The bytes after the byte order mark, for a format that is not made of lines; instead of the lines."""
        while chunk := self._stream.read1(CHUNK):
            yield chunk

    def _skip_line(self) -> int:
        skipped = 0
        while part := self._stream.readline(CHUNK):
            skipped += len(part)
            if part.endswith(b"\n"):
                break
        return skipped


def _sampled(chunks: Iterator[bytes], *, live: bool) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes of a stream, and its chunks as if nothing had been taken.

    From a pipe it is what the pipe has now: nobody waits for bytes that have not been written yet.
    """
    taken: list[bytes] = []
    size = 0
    for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if size >= SAMPLE_BYTES or (live and chunk and len(chunk) < CHUNK):
            break
    return b"".join(taken)[:SAMPLE_BYTES], chain(taken, chunks)


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
def open_lines(
    path: Path | str, max_line_bytes: int = MAX_LINE_BYTES, *, encoding: str | None = None
) -> Iterator[Lines]:
    """The lines of a file, wrapped or not, or of standard input for "-"; ARCHIVE.zip/MEMBER is a member of a zip file.

    Raises CorpusError when the file cannot be read at all, is empty, or is a zip archive of several files, and
    ConfigurationError on an encoding that nobody knows.
    """
    if str(path) == "-":
        live = not sys.stdin.buffer.seekable()
        yield Lines("<stdin>", _chunks("<stdin>", sys.stdin.buffer), max_line_bytes, encoding=encoding, live=live)
        return
    name = str(path)
    with ExitStack() as stack:
        stream = stack.enter_context(_open(Path(path), name))
        live = not stream.seekable()
        if not live and _begins(stream, name) == _ZIP:
            stream = stack.enter_context(_member(Path(path), name, ""))
        elif not live:
            stream.seek(0)
        yield Lines(name, _chunks(name, stream), max_line_bytes, encoding=encoding, live=live)


def _begins(stream: BinaryIO, name: str) -> bytes:
    try:
        return stream.read(len(_ZIP))
    except OSError as error:
        raise _unreadable(name, error) from error


def _open(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        archive = next((parent for parent in path.parents if parent.is_file() and zipfile.is_zipfile(parent)), None)
        if archive is None:
            raise CorpusError(f"there is no file {name}") from None
        return _member(archive, str(archive), path.relative_to(archive).as_posix())
    except IsADirectoryError:
        raise CorpusError(f"{name} is a folder; name a file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unreadable(name, error) from error


def _member(archive: Path, name: str, member: str) -> BinaryIO:
    """A file in a zip archive: the one of that name, or with "" the only one."""
    try:
        packed = zipfile.ZipFile(archive)
        members = [one for one in packed.namelist() if not one.endswith("/") and not one.startswith("__MACOSX/")]
        if member or len(members) == 1:
            return cast("BinaryIO", packed.open(member or members[0]))
    except KeyError:
        raise CorpusError(f"{name} has no {member!r}; it has {', '.join(members[:9])}") from None
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise CorpusError(f"{name} is a zip archive that cannot be read: {error}") from error
    raise CorpusError(f"{name} holds {len(members)} files; name one: {name}/{(members or ['FILE'])[0]}")


def _chunks(name: str, stream: BinaryIO) -> Iterator[bytes]:
    # read1 gives what a pipe has now; read would wait until the chunk is full.
    read = stream.read1 if isinstance(stream, io.BufferedReader) else stream.read
    try:
        while chunk := read(CHUNK):
            yield chunk
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> CorpusError:
    return CorpusError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}")
