"""The formats of corpus files: one module each, which has a `Reader` named READER, and one word in READERS."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from eat_worker.corpora.opening import Line, Lines
from eat_worker.corpora.parsing import Defaults
from eat_worker.corpora.records import Rejected, Tally
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document

Format = Literal["quarantine", "jsonl", "bio", "json", "csv", "docbin", "parquet", "brat", "text"]
READERS: tuple[Format, ...] = get_args(Format)
"""In the order in which they are asked whether a file is theirs; the last takes what no other wants."""

Records = Iterator[Document | Rejected]


@dataclass(frozen=True, slots=True)
class Reader:
    """How a file becomes documents and refused records. It has `read`, or `read_path` where it needs the whole file."""

    #: The records of lines that have been opened.
    read: Callable[[Lines, Defaults, Tally], Records] | None
    #: By which of its first bytes (in UTF-8) a file is known as of this format, in words; "" where it is not.
    recognised: Callable[[bytes], str]
    #: The records of a file or folder by its path.
    read_path: Callable[[Path, Defaults, Tally], Records] | None = None
    #: Whether a folder, which has no bytes, is of this format; in words.
    recognised_folder: Callable[[Path], str] = lambda _: ""


def reader(name: Format) -> Reader:
    """The reader of that format."""
    found = importlib.import_module(f"{__name__}.{name}").READER
    assert isinstance(found, Reader)
    return found


def recognise(sample: bytes) -> tuple[Format, str]:
    """The format of a file by its first bytes in UTF-8, and how it is known, in words."""
    for name in READERS:
        why = reader(name).recognised(sample)
        if why:
            return name, why
    raise AssertionError("the last reader takes any file")


def sample_lines(sample: bytes) -> list[bytes]:
    """The whole lines of a sample that show something, without their ends."""
    lines = sample.split(b"\n")
    if len(lines) > 1:  # what the sample cuts off says nothing
        lines.pop()
    return [line.rstrip(b"\r") for line in lines if not Line(0, 0, line).blank]


def recognise_folder(path: Path) -> tuple[Format, str]:
    """The format of a folder, and how it is known. Raises CorpusError when no format is made of such files."""
    for name in READERS:
        why = reader(name).recognised_folder(path)
        if why:
            return name, why
    raise CorpusError(f"{path} is a folder; name a file in it")
