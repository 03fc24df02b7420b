"""JSON Lines: one record per line. Every line ends as a document, as a refused record, or as a blank."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from eat_worker.corpora.identifiers import SeenIds
from eat_worker.corpora.opening import Line, Lines
from eat_worker.corpora.parsing import Defaults, check_id, check_line, parse_record
from eat_worker.corpora.readers import Reader, sample_lines
from eat_worker.corpora.records import RecordError, Rejected, Tally
from eat_worker.method.document import Document

_CONTROLS = b" \t\r\n\x0b\x0c\x1e"  # beside blanks: form feeds, and the mark before a record of RFC 7464


def read_jsonl(lines: Lines, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    """The documents and refused records of a file, in order."""
    seen = SeenIds()
    for line in lines:
        raw = line.raw
        if line.blank:
            tally.other_bytes += len(raw)
            continue
        try:
            document = _document(line, lines, defaults, tally, seen)
        except RecordError as error:
            tally.rejected[error.code] += 1
            tally.rejected_bytes += len(raw) + line.dropped
            yield Rejected(lines.name, line.number, line.byte, error.code, str(error), raw, line.dropped)
        else:
            tally.documents += 1
            tally.document_bytes += len(raw)
            yield document


def _document(line: Line, lines: Lines, defaults: Defaults, tally: Tally, seen: SeenIds) -> Document:
    check_line(line, lines)
    raw = line.raw
    if raw[0] != 0x7B or raw[-2:-1] in b"\x0b\x0c":
        raw = raw.strip(_CONTROLS)
        if len(raw) != len(line.raw.strip(b" \t\r\n")):
            tally.note("records with a control character before or after them, which was left out")
    document = parse_record(raw, defaults, tally)
    if document.ext_id is not None:
        check_id(seen, document, line.number)
    return document


def _recognised(sample: bytes) -> str:
    """The first line is a JSON object, or most lines begin like one and end like one."""
    lines = sample_lines(sample)
    if not lines:
        return "there is nothing else in it"
    first = lines[0].strip(_CONTROLS)
    if first.startswith(b"{") and _is_object(first):
        return "the first line is a JSON object"
    like = sum(
        line.strip(_CONTROLS).startswith((b"{", b"\xef\xbb\xbf{")) and line.strip().endswith(b"}") for line in lines
    )
    return f"{like} of the first {len(lines)} lines are like JSON objects" if like * 2 > len(lines) else ""


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


READER = Reader(read_jsonl, _recognised)
