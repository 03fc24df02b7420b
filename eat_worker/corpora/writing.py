"""JSON Lines files that appear under their names only when they are whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from eat_worker.errors import ConfigurationError


class Records:
    """A JSON Lines file being written; `count` records are in it so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self.count = 0
        self._file = file

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record."""
        self._file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        self.count += 1


@contextmanager
def new_records(path: Path) -> Iterator[Records]:
    """A file to write records to, as `NAME.partial` until the block ends well: what was there before stays till then.

    Raises ConfigurationError when it cannot be made.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = partial.open("wb")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}; name another file") from error
    try:
        with file:
            yield Records(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)
