"""brat standoff: a folder with one `.txt` and one `.ann` per record, in subfolders of a thousand.

Offsets are characters of the decoded text, which are code points. Files are named by their number; `records.jsonl`
says which record each is. An entity with a line end inside becomes a discontinuous one, as brat demands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eat_worker.corpora.exports import ExportFormat, Records, Written
from eat_worker.corpora.writing import json_line
from eat_worker.method.document import TAGS

_IN_A_FOLDER = 1000
_CONFIG = "[entities]\n{}\n[relations]\n[events]\n[attributes]\n"
_LINE_END = re.compile(r"[\r\n]+")


def _write(records: Records, folder: Path, written: Written) -> None:
    (folder / "annotation.conf").write_text(_CONFIG.format("\n".join(TAGS)), encoding="utf-8")
    with (folder / "records.jsonl").open("wb") as index:
        for number, record in enumerate(records):
            place = folder / f"{number // _IN_A_FOLDER:05d}"
            place.mkdir(exist_ok=True)
            name = f"{number:08d}"
            (place / f"{name}.txt").write_bytes(record["text"].encode())
            (place / f"{name}.ann").write_bytes(_standoff(record).encode())
            index.write(json_line({"file": f"{place.name}/{name}", "id": record["id"], "lang": record["lang"]}))
            written.records += 1


def _standoff(record: Mapping[str, Any]) -> str:
    lines = []
    for number, entity in enumerate(record["entities"], 1):
        pieces = _pieces(record["text"], entity["start"], entity["end"])
        places = ";".join(f"{start} {end}" for start, end in pieces)
        words = " ".join(record["text"][start:end] for start, end in pieces)
        lines.append(f"T{number}\t{entity['tag']} {places}\t{words}\n")
        if entity["english"]:
            lines.append(f"#{number}\tAnnotatorNotes T{number}\t{_LINE_END.sub(' ', entity['english'])}\n")
    return "".join(lines)


def _pieces(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The span without the line ends in it."""
    pieces = []
    for found in _LINE_END.finditer(text, start, end):
        pieces.append((start, found.start()))
        start = found.end()
    return [(first, last) for first, last in (*pieces, (start, end)) if first < last]


FORMAT = ExportFormat("code points", to_folder=_write)
