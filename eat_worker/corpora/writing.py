"""Files of records that appear under their names only when they are whole, and what a record is as JSON."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

import orjson

from eat_worker.errors import ConfigurationError

GROUP_RECORDS = 1000
GROUP_TEXT = 4_000_000  # code points


class Sink(Protocol):
    """What bytes are written to: a file, or a terminal that shows no control character raw."""

    def write(self, data: bytes, /) -> object:
        """Append the bytes."""

    def flush(self) -> object:
        """Show what was written so far."""


def json_line(record: Mapping[str, Any]) -> bytes:
    """One line of JSON Lines, in UTF-8; every command that writes records writes them so."""
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # half a surrogate pair, which a model may write
        return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def json_array(file: Sink, values: Iterable[Mapping[str, Any]], *, head: bytes = b"", tail: bytes = b"\n") -> None:
    """One JSON array, value by value and one to a line, between `head` and `tail`."""
    file.write(head + b"[")
    for number, value in enumerate(values):
        file.write((b",\n" if number else b"\n") + json_line(value).rstrip(b"\n"))
    file.write(b"\n]" + tail)


def groups(records: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """The records in lists that fit into memory: so many, or so much text."""
    group: list[Mapping[str, Any]] = []
    size = 0
    for record in records:
        group.append(record)
        size += len(record["text"])
        if len(group) >= GROUP_RECORDS or size >= GROUP_TEXT:
            yield group
            group, size = [], 0
    if group:
        yield group


class Records:
    """A JSON Lines file being written; `count` records are in it so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self.count = 0
        self._file = file

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record."""
        self._file.write(json_line(record))
        self.count += 1


@contextmanager
def new_records(path: Path) -> Iterator[Records]:
    """A JSON Lines file, as `new_file`."""
    with new_file(path) as file:
        yield Records(file)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, as `NAME.partial` until the block ends well: what was there before stays till then.

    Raises ConfigurationError when it cannot be made.
    """
    partial = path.with_name(f"{path.name}.partial")
    with _made(path):
        file = partial.open("wb")
    try:
        with file:
            yield file
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to write files into, as `NAME.partial` until the block ends well.

    Raises ConfigurationError when it cannot be made or is there already: a folder is never written over.
    """
    partial = path.with_name(f"{path.name}.partial")
    with _made(path):
        if path.exists():
            raise FileExistsError(errno.EEXIST, "it is there already")
        partial.mkdir()
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.replace(path)


@contextmanager
def _made(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}; name another file") from error
