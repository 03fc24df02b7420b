"""CSV and TSV with a row of column names. One column is the text; the others are read as the keys of JSON records are.

A row may take several lines where a field is quoted. A quote that is never closed costs the line it is on, no other.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import orjson

from eat_worker.corpora.identifiers import SeenIds
from eat_worker.corpora.opening import Line, Lines
from eat_worker.corpora.parsing import Defaults, check_id, check_line, document_of
from eat_worker.corpora.readers import Reader, sample_lines
from eat_worker.corpora.records import RecordError, Rejected, Tally
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document

_TEXTS = ("text", "sentence", "sentences", "content", "source_text")
_LANGS = ("lang", "language")
_JSON = ("entities", "label", "labels", "tokens", "ner_tags", "tags", "spans", "meta")
_SEPARATORS = "\t,;|"
_MOST_LINES = 1000  # of one row


@dataclass(frozen=True, slots=True)
class Table:
    """How the rows of a file are split, and what their columns are called."""

    separator: str
    quoted: bool
    names: tuple[str, ...]

    def fields(self, row: str) -> list[str]:
        """The fields of a row. Raises RecordError (E_COLUMNS) when it has other columns than the first one."""
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE
        try:
            (fields,) = csv.reader([row], delimiter=self.separator, quoting=quoting)
        except (csv.Error, ValueError) as error:
            raise RecordError("E_COLUMNS", f"not a row of a table: {error}") from None
        if len(fields) != len(self.names):
            raise RecordError("E_COLUMNS", f"{len(fields)} columns instead of {len(self.names)}: {row[:60]!r}")
        return fields


def table_of(header: str) -> Table | None:
    """The table that a first row names; None where no column of it can be a text."""
    for separator in _SEPARATORS:
        fields = _names(header, separator)
        names = tuple(field.strip().lower() for field in fields)
        textual = len(set(names)) == len(names) and any(name in _TEXTS or name == "tokens" for name in names)
        if textual and (len(names) > 1 or separator == _SEPARATORS[-1]):
            return Table(separator, separator != "\t" or '"' in header, names)
    return None


def _names(header: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=separator), [])
    except csv.Error:
        return []


def read_csv(lines: Lines, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    """The documents and refused rows of a file, in order. Raises CorpusError without a row of names."""
    csv.field_size_limit(2 * lines.limit)
    source = iter(lines)
    header = next((line for line in source if not _passed_over(line, tally)), None)
    table = table_of(header.raw.decode(errors="replace").strip()) if header else None
    if header is None or table is None:
        raise CorpusError(f"{lines.name}: its first row must name the columns, one of them {', '.join(_TEXTS)}")
    tally.other_bytes += len(header.raw)
    seen = SeenIds()
    rows = _Rows(source, table, lines.limit)
    for row in rows:
        size = sum(len(line.raw) + line.dropped for line in row)
        first = row[0]
        if len(row) == 1 and first.blank:
            tally.other_bytes += size
            continue
        try:
            document = _document(row, lines, table, defaults, tally)
            if document.ext_id is not None:
                check_id(seen, document, first.number)
        except RecordError as error:
            tally.rejected[error.code] += 1
            tally.rejected_bytes += size
            raw = b"".join(line.raw for line in row)
            yield Rejected(lines.name, first.number, first.byte, error.code, str(error), raw, first.dropped)
        else:
            tally.documents += 1
            tally.document_bytes += size
            yield document


def _passed_over(line: Line, tally: Tally) -> bool:
    if line.blank:
        tally.other_bytes += len(line.raw)
    return line.blank


class _Rows(Iterator[list[Line]]):
    """The lines of one row at a time: more than one where a quoted field holds a line break."""

    def __init__(self, source: Iterator[Line], table: Table, limit: int) -> None:
        self._source = source
        self._waiting: deque[Line] = deque()
        self._table = table
        self._limit = limit

    def __next__(self) -> list[Line]:
        row = [self._next()]
        if not self._table.quoted or row[0].raw.count(b'"') % 2 == 0 or row[0].dropped or row[0].cut:
            return row
        size = len(row[0].raw)
        for line in islice(self._lines(), _MOST_LINES):
            row.append(line)
            size += len(line.raw)
            if size > self._limit or line.dropped or line.cut:
                break
            if line.raw.count(b'"') % 2:
                if self._fits(row):
                    return row
                break
        self._waiting.extendleft(reversed(row[1:]))
        return row[:1]

    def _fits(self, row: Sequence[Line]) -> bool:
        try:
            self._table.fields(b"".join(line.raw for line in row).decode().rstrip("\r\n"))
        except (RecordError, UnicodeDecodeError):
            return False
        return True

    def _next(self) -> Line:
        return self._waiting.popleft() if self._waiting else next(self._source)

    def _lines(self) -> Iterator[Line]:
        while True:
            try:
                yield self._next()
            except StopIteration:
                return


def _document(row: Sequence[Line], lines: Lines, table: Table, defaults: Defaults, tally: Tally) -> Document:
    for line in row:
        check_line(line, lines)
    try:
        text = b"".join(line.raw for line in row).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise RecordError("E_UTF8", f"byte {error.start} of the row is not UTF-8; see --encoding") from None
    if "\x00" in text:
        raise RecordError("E_NUL", "the row holds U+0000, which a database cannot store; remove it")
    if table.quoted and len(row) == 1 and text.count('"') % 2:
        raise RecordError("E_COLUMNS", "a quote is never closed; write a quote inside of a field twice")
    return document_of(_record(table, table.fields(text)), defaults, tally)


def _record(table: Table, fields: Sequence[str]) -> dict[str, Any]:
    """The row as a JSON record: empty fields are absent, lists are parsed."""
    record: dict[str, Any] = {}
    for name, field in zip(table.names, fields, strict=True):
        known = "text" if name in _TEXTS and "text" not in record else "lang" if name in _LANGS else name
        if field or known == "text":
            record[known or "column"] = _parsed(field) if name in _JSON else field
    return record


def _parsed(field: str) -> Any:
    if field[0] not in "[{":
        return field
    try:
        return orjson.loads(field)
    except orjson.JSONDecodeError as error:
        raise RecordError("E_JSON", f"a column that holds a list is not JSON: {error.msg}") from None


def _recognised(sample: bytes) -> str:
    lines = sample_lines(sample)
    table = table_of(lines[0].decode(errors="replace").strip()) if lines else None
    return f"its first row names the columns {', '.join(table.names)}"[:200] if table else ""


READER = Reader(read_csv, _recognised)
