"""JSON Lines: everything a record has, as `eat submit` reads it back."""

from __future__ import annotations

from eat_worker.corpora.exports import ExportFormat, Records, Written
from eat_worker.corpora.writing import Sink, json_line


def _write(records: Records, file: Sink, written: Written) -> None:
    for record in records:
        file.write(json_line(record))
        written.records += 1


FORMAT = ExportFormat("code points", to_stream=_write)
