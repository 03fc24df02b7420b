"""Keeps refused records: one JSON line each, with the raw bytes in base64, so that nothing handed in is ever lost.

A row is written whole and reaches the file before the next record is read; a crash leaves at most one torn last line,
which the next opening closes off. Knows nothing of why a record was refused.
"""

from __future__ import annotations

import base64
import os
from collections import Counter
from io import SEEK_END, FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from eat_worker.corpora.records import Rejected


class Quarantine:
    """An append-only file of refused records. It comes into being with the first of them, readable to its owner only.

    `counts` holds how many were added, by code. OSError from a full or read-only disk is passed on: a record that is
    in neither place must not be skipped in silence.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self._file: FileIO | None = None

    def add(self, rejected: Rejected) -> None:
        """Appends one record."""
        if self._file is None:
            self._file = self._opened()
        row = memoryview(orjson.dumps(_row(rejected), option=orjson.OPT_APPEND_NEWLINE))
        while row:
            row = row[self._file.write(row) :]
        self.counts[rejected.code] += 1

    def close(self) -> None:
        """Makes sure that the rows survive a power cut, and closes the file."""
        file, self._file = self._file, None
        if file is not None:
            with file:
                os.fsync(file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> FileIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: nothing waits in memory, and a full disk is told by the write that met it.
        file = FileIO(self.path, "a+", opener=_private)
        if file.seek(0, SEEK_END) and _last_byte(file) != b"\n":
            file.write(b"\n")
        return file


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _last_byte(file: FileIO) -> bytes:
    file.seek(-1, SEEK_END)
    return file.read(1)


def _row(rejected: Rejected) -> dict[str, str | int]:
    return {
        "file": rejected.file,
        "line": rejected.line,
        "byte": rejected.byte,
        "code": rejected.code,
        "message": rejected.message,
        "dropped": rejected.dropped,
        "raw_base64": base64.b64encode(rejected.raw).decode(),
    }
