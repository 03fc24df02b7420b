"""`read_documents`: the one way into a corpus file, whatever its format.

Streams: memory does not grow with the file. Knows the formats by name; knows nothing of runs and databases.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict, Unpack

from eat_worker.corpora.offsets import Unit
from eat_worker.corpora.opening import MAX_LINE_BYTES, Lines, open_lines
from eat_worker.corpora.parsing import MAX_TEXT, Defaults
from eat_worker.corpora.readers import READERS, Format, Records, reader, recognise, recognise_folder
from eat_worker.corpora.records import Rejected, Tally
from eat_worker.corpora.splitting import LONGEST_WHOLE, split_documents
from eat_worker.corpora.tagmaps import TagMap
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document
from eat_worker.method.languages import language

FORMATS: tuple[Format, ...] = READERS


class How(TypedDict, total=False):
    """How a file is read; what is None or absent is found out by looking at it."""

    #: Language and data set of records that do not say so themselves.
    lang: str | None
    dataset: str | None
    format: Format | None
    encoding: str | None
    #: What gold offsets count.
    offsets: Unit | None
    #: None: the map known for the dataset.
    tag_map: TagMap | None
    #: End after that many documents.
    limit: int | None
    #: Refuse an I- tag that begins an entity.
    strict_bio: bool
    #: Cut texts into sentences.
    split: bool
    max_line_bytes: int


class Reading(Iterator[Document | Rejected]):
    """Documents and refused records in the order of the file; `tally` tells what has been read so far.

    The file is open from the start and is closed at the end, by `close`, or when the reading is dropped.
    """

    def __init__(self, records: Generator[Document | Rejected | None, None, None], tally: Tally) -> None:
        self.tally = tally
        self._records = records
        next(records)  # opens the file: what is wrong with it as a whole is raised here

    def __next__(self) -> Document | Rejected:
        record = next(self._records)
        assert record is not None
        return record

    def close(self) -> None:
        """Stops reading."""
        self._records.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_documents(path: Path | str, **how: Unpack[How]) -> Reading:
    """The records of a file or, for "-", of standard input.

    Raises CorpusError when the file cannot be read at all or holds no record (the latter at its end, when it is not
    empty), and ConfigurationError when language or encoding are unknown. One bad record never raises.
    """
    lang = how.get("lang")
    if lang is not None:
        language(lang)
    tally = Tally()
    return Reading(_limited(path, how, tally), tally)


def _limited(path: Path | str, how: How, tally: Tally) -> Generator[Document | Rejected | None, None, None]:
    with ExitStack() as stack:
        records = _records(path, how, tally, stack)
        yield None
        if how.get("limit") == 0:
            return
        documents = 0
        for record in split_documents(records, tally) if how.get("split") else records:
            yield record
            documents += isinstance(record, Document)
            if documents == how.get("limit"):
                return
        if not tally.documents and not tally.rejected:
            raise CorpusError(f"nothing to do: {path} has no records")


def _records(path: Path | str, how: How, tally: Tally, stack: ExitStack) -> Records:
    """What the reader of the file's format makes of it."""
    chosen = how.get("format")
    defaults = Defaults(
        lang=how.get("lang"),
        dataset=how.get("dataset"),
        tags=how.get("tag_map"),
        offsets=how.get("offsets"),
        strict_bio=how.get("strict_bio", False),
        max_text=LONGEST_WHOLE if how.get("split") else MAX_TEXT,
    )
    place = Path(path)
    if str(path) != "-" and place.is_dir():
        name, _ = (chosen, "") if chosen else recognise_folder(place)
    else:
        lines = stack.enter_context(
            open_lines(path, how.get("max_line_bytes", MAX_LINE_BYTES), encoding=how.get("encoding"))
        )
        tally.other_bytes += lines.bom
        name, why = (chosen, "as asked") if chosen else recognise(lines.sample)
        _note_what_was_decided(lines, name, why, tally, asked=chosen is not None)
        read = reader(name).read
        if read is not None:
            return read(lines, defaults, tally)
    read_path = reader(name).read_path
    if str(path) == "-":
        raise CorpusError(f"a file of the format {name} cannot be read from a pipe; name the file")
    if read_path is None:
        raise CorpusError(f"{path} is a folder; name a file in it")
    return read_path(place, defaults, tally)


def _note_what_was_decided(lines: Lines, name: Format, why: str, tally: Tally, *, asked: bool) -> None:
    """Formats and encodings that were guessed are told; JSON Lines in UTF-8 are what everybody expects."""
    if not asked and name != "jsonl":
        tally.note(f"read as {name}: {why}")
    for kind in lines.kinds:
        tally.note(f"unpacked with {kind}")
    if lines.known_by and lines.known_by != "as asked":
        tally.note(f"read as {lines.encoding}: {lines.known_by}")
