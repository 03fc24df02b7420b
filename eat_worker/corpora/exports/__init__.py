"""The formats of `eat export`: one module each, which has an `ExportFormat` named FORMAT, and one word in FORMATS."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

FORMATS = ("jsonl",)

Records = Iterable[Mapping[str, Any]]
"""Records of `eat export`, one at a time; a format reads each once and keeps none."""


@dataclass(slots=True)
class Written:
    """What came of an export; a format counts here while it writes."""

    #: Records written.
    records: int = 0
    #: Entities whose span was moved to what the format can point at, such as the borders of a token.
    snapped: int = 0
    #: What the format cannot say and left out, by reason.
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """How records become files. It has `to_stream`, or `to_folder` where it needs several files; not both."""

    #: What the offsets in its files count.
    offsets: Literal["code points", "UTF-16 code units", "bytes", "tokens"]
    #: Writes to a binary stream, which is a file or stdout.
    to_stream: Callable[[Records, BinaryIO, Written], None] | None = None
    #: Writes files into an empty folder.
    to_folder: Callable[[Records, Path, Written], None] | None = None


def export_format(name: str) -> ExportFormat:
    """The format of that name, one of FORMATS."""
    made = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").FORMAT
    assert isinstance(made, ExportFormat)
    return made


def export(made: ExportFormat, records: Records, path: Path) -> Written:
    """Write all records to a file or folder that appears when it is whole. Raises ConfigurationError when it cannot."""
    from eat_worker.corpora.writing import new_file, new_folder

    written = Written()
    if made.to_stream:
        with new_file(path) as file:
            made.to_stream(records, file, written)
    elif made.to_folder:
        with new_folder(path) as folder:
            made.to_folder(records, folder, written)
    return written
