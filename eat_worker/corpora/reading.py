"""`read_documents`: the one way into a corpus file, whatever its format.

Streams: memory does not grow with the file. Knows the formats by name; knows nothing of runs and databases.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from eat_worker.corpora.bio import read_bio
from eat_worker.corpora.jsonl import Defaults, read_jsonl
from eat_worker.corpora.opening import MAX_LINE_BYTES, open_lines
from eat_worker.corpora.records import Rejected, Tally
from eat_worker.corpora.tagmaps import TagMap
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document
from eat_worker.method.languages import language

Format = Literal["jsonl", "bio"]
FORMATS: tuple[Format, ...] = ("jsonl", "bio")
_BIO_SUFFIXES = frozenset({".bio", ".iob", ".iob2", ".conll", ".conll02", ".conll03", ".conllu", ".tsv"})


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


def read_documents(
    path: Path | str,
    *,
    lang: str | None = None,
    dataset: str | None = None,
    format: Format | None = None,  # noqa: A002 - the option's name
    tag_map: TagMap | None = None,
    limit: int | None = None,
    strict_bio: bool = False,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Reading:
    """The records of a file or, for "-", of standard input; gzip is recognised.

    `lang` and `dataset` hold for records that do not say so themselves. `format` None goes by the file's suffix,
    JSON Lines unless it is one of a BIO file. `tag_map` None: the map known for the dataset. `limit` ends after that
    many documents. Raises CorpusError when the file cannot be read at all or holds no record (the latter at its end,
    when it is not empty), and ConfigurationError when `lang` is unknown. One bad record never raises.
    """
    if lang is not None:
        language(lang)
    tally = Tally()
    chosen = format or format_of(path)
    defaults = Defaults(lang, dataset, tag_map)
    records = _records(path, chosen, defaults, tally, limit=limit, strict_bio=strict_bio, max_line_bytes=max_line_bytes)
    return Reading(records, tally)


def format_of(path: Path | str) -> Format:
    """The format that a file's name tells: `bio` for .bio, .iob2, .conll, .tsv and the like, else `jsonl`."""
    name = Path(path)
    suffix = (name.with_suffix("") if name.suffix.lower() == ".gz" else name).suffix.lower()
    return "bio" if suffix in _BIO_SUFFIXES else "jsonl"


def _records(
    path: Path | str,
    chosen: Format,
    defaults: Defaults,
    tally: Tally,
    *,
    limit: int | None,
    strict_bio: bool,
    max_line_bytes: int,
) -> Generator[Document | Rejected | None, None, None]:
    with open_lines(path, max_line_bytes) as lines:
        tally.other_bytes += lines.bom
        yield None
        if chosen == "bio":
            records = read_bio(lines, defaults, tally, strict=strict_bio)
        else:
            records = read_jsonl(lines, defaults, tally)
        if limit == 0:
            return
        for record in records:
            yield record
            if tally.documents == limit:
                return
        if not tally.documents and not tally.rejected:
            raise CorpusError(f"nothing to do: {lines.name} has no records")
