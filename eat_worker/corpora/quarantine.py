"""Keeps refused records: one JSON line each, with the raw bytes in base64, so that nothing handed in is ever lost. As
text they are there too, to be repaired in place and read again.

A row is written whole and reaches a partial file before the next record is read; at the end that file gets its name,
which is made of what is in it: the same records refused again are the same file, others are another. Knows nothing of
why a record was refused.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections import Counter
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from eat_worker.corpora.records import Rejected
from eat_worker.private_files import make_private_folder


class Quarantine:
    """The records that one reading of a corpus refused, as `NAME.DIGEST.jsonl` in `folder`, for its owner only.

    `path` is that file once the block has ended, None while it lasts and when nothing was refused. A block that ends
    in an error leaves `NAME.*.partial`. `counts` holds how many were added, by code. OSError from a full or read-only
    disk is passed on: a record that is in neither place must not be skipped in silence.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path: Path | None = None
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._name = name
        self._file: FileIO | None = None
        self._partial = Path()
        self._digest = hashlib.sha256()

    def add(self, rejected: Rejected) -> None:
        """Appends one record."""
        if self._file is None:
            self._file = self._opened()
        row = memoryview(orjson.dumps(_row(rejected), option=orjson.OPT_APPEND_NEWLINE))
        self._digest.update(row)
        while row:
            row = row[self._file.write(row) :]
        self.counts[rejected.code] += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        with self._file as file:
            os.fsync(file.fileno())  # the rows survive a power cut before they have a name that promises it
        if error is None:
            self.path = self._folder / f"{self._name}.{self._digest.hexdigest()[:8]}.jsonl"
            self._partial.replace(self.path)

    def _opened(self) -> FileIO:
        make_private_folder(self._folder)
        # A name of its own: another submit of the same run may be under way. Unbuffered: nothing waits in memory, and
        # a full disk is reported by the write that met it.
        number, path = tempfile.mkstemp(prefix=f"{self._name}.", suffix=".partial", dir=self._folder)
        self._partial = Path(path)
        return FileIO(number, "a")


def _row(rejected: Rejected) -> dict[str, str | int | None]:
    return {
        "file": rejected.file,
        "line": rejected.line,
        "byte": rejected.byte,
        "code": rejected.code,
        "message": rejected.message,
        "dropped": rejected.dropped,
        "raw": _as_text(rejected.raw),
        "raw_base64": base64.b64encode(rejected.raw).decode(),
    }


def _as_text(raw: bytes) -> str | None:
    """What a user can repair; None where it is no UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
