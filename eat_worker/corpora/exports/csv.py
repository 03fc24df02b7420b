"""CSV (RFC 4180, UTF-8): one row per entity, and one with empty cells for a record that has none.

Offsets are code points of the record's own text. A cell of text that a spreadsheet could take for a formula, and one
that begins with an apostrophe, gets an apostrophe in front; whoever takes one leading apostrophe off has the text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from eat_worker.corpora.exports import ExportFormat, Records, Written
from eat_worker.corpora.writing import Sink

COLUMNS = (
    *("id", "lang", "dataset", "start", "end", "tag", "words"),
    *("english", "confidence", "via", "text"),
)
_OF_TEXT = frozenset({"id", "dataset", "words", "english", "via", "text"})
# Also the full-width forms, which spreadsheets of East Asian languages take for the same.
_RISKY = ("'", "=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def _write(records: Records, file: Sink, written: Written) -> None:
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow(COLUMNS)
    for record in records:
        for row in _rows(record):
            writer.writerow([_cell(name, row.get(name), written) for name in COLUMNS])
        file.write(line.getvalue().encode())
        line.seek(0)
        line.truncate()
        written.records += 1
    file.write(line.getvalue().encode())


def _rows(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    shared = {name: record[name] for name in ("id", "lang", "dataset", "text")}
    for entity in record["entities"]:
        yield shared | entity
    if not record["entities"]:
        yield shared


def _cell(name: str, value: Any, written: Written) -> Any:
    if name not in _OF_TEXT or value is None or not value.startswith(_RISKY):
        return value
    written.escaped += 1
    return f"'{value}"


FORMAT = ExportFormat("code points", to_stream=_write)
