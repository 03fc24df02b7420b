"""The formats of `eat export`: one module each, which has an `ExportFormat` named FORMAT, and one word in FORMATS."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from eat_worker.corpora.writing import Sink, new_file, new_folder
from eat_worker.errors import ConfigurationError, EatError

FORMATS = (
    *("jsonl", "bio", "conll", "spacy", "label-studio", "doccano", "brat", "prodigy", "parquet", "hf"),
    *("w3c", "csv"),
)

Records = Iterable[Mapping[str, Any]]
"""Records of `eat export`, one at a time; a format reads each once and keeps none."""

Tokens = Literal["auto", "words", "characters"]


@dataclass(slots=True)
class Written:
    """What came of an export; a format counts here while it writes, and asks here how it shall."""

    #: Where a format needs tokens: words, characters, or what suits each record's language.
    tokens: Tokens = "auto"
    #: Whether an entity that begins or ends inside a token ends the export.
    refuse_cuts: bool = False
    #: Records written.
    records: int = 0
    #: Entities whose span was moved to the borders of tokens.
    snapped: int = 0
    #: Cells that got an apostrophe, so that no spreadsheet takes them for a formula.
    escaped: int = 0
    #: What the format cannot say and left out, by reason.
    dropped: Counter[str] = field(default_factory=Counter)
    #: Tokens that records were cut into, by kind; empty where the format needs none.
    segmenters: Counter[str] = field(default_factory=Counter)

    def snap(self, record: Mapping[str, Any], entity: Mapping[str, Any]) -> None:
        """Count an entity that is moved. Raises EatError where that is refused."""
        if self.refuse_cuts:
            where = f"[{entity['start']}, {entity['end']})"
            raise EatError(
                f"record {record['id']!r}: the {entity['tag']} at {where} ends inside a token; use --cut snap, "
                "--tokens characters, or a format whose offsets are characters"
            )
        self.snapped += 1


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """How records become files. It has `to_stream`, or `to_folder` where it needs several files; not both."""

    #: What the offsets in its files count.
    offsets: Literal["code points", "UTF-16 code units", "bytes", "tokens"]
    #: Writes to a binary stream, which is a file or stdout.
    to_stream: Callable[[Records, Sink, Written], None] | None = None
    #: Writes files into an empty folder.
    to_folder: Callable[[Records, Path, Written], None] | None = None
    #: Whether the stream is text that a terminal can show.
    is_text: bool = True


def export_format(name: str) -> ExportFormat:
    """The format of that name, one of FORMATS."""
    made = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").FORMAT
    assert isinstance(made, ExportFormat)
    return made


def export(made: ExportFormat, records: Records, path: Path, written: Written) -> None:
    """Write all records to a file or folder that appears when it is whole. Raises ConfigurationError when it cannot."""
    if made.to_stream:
        with new_file(path) as file:
            made.to_stream(records, file, written)
    elif made.to_folder:
        with new_folder(path) as folder:
            made.to_folder(records, folder, written)


def library(name: str) -> ModuleType:
    """A library that only some formats need. Raises ConfigurationError when it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"this format needs {name}; run: pip install 'eat_worker[exports]'") from error
