"""JSON that is not one record a line: an array of records, or objects in a row that take many lines each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from eat_worker.corpora.identifiers import SeenIds
from eat_worker.corpora.opening import Lines
from eat_worker.corpora.parsing import Defaults, check_id, parse_record
from eat_worker.corpora.readers import Reader
from eat_worker.corpora.records import RecordError, Rejected, Tally
from eat_worker.corpora.values import Piece, Values
from eat_worker.method.document import Document

_BETWEEN = b" \t\r\n,[]\x0b\x0c\x1e"
_BEGINS = re.compile(rb'\s*(?:\[\s*(?:[{\[\]"]|\Z)|\{\s*(?:"|\Z))')


def read_json(lines: Lines, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    """The documents and refused records of a file, in order."""
    seen = SeenIds()
    for piece in Values(lines.chunks(), lines.limit, lines.bom):
        size = len(piece.raw) + piece.dropped
        if piece.between and not piece.raw.strip(_BETWEEN):
            tally.other_bytes += size
            continue
        try:
            document = _document(piece, lines, defaults, tally)
            if document.ext_id is not None:
                check_id(seen, document, piece.line)
        except RecordError as error:
            tally.rejected[error.code] += 1
            tally.rejected_bytes += size
            yield Rejected(lines.name, piece.line, piece.byte, error.code, str(error), piece.raw, piece.dropped)
        else:
            tally.documents += 1
            tally.document_bytes += size
            yield document
    if lines.damage:
        tally.rejected["E_TRUNCATED"] += 1
        yield Rejected(lines.name, 0, tally.bytes, "E_TRUNCATED", f"{lines.damage}; see the records before", b"")


def _document(piece: Piece, lines: Lines, defaults: Defaults, tally: Tally) -> Document:
    if piece.dropped:
        size = len(piece.raw) + piece.dropped
        raise RecordError("E_LINE_TOO_LONG", f"the record has {size:,} bytes; at most {lines.limit:,} are read")
    if piece.between:
        raise RecordError("E_NOT_OBJECT", f"between two records stands {piece.raw.strip(_BETWEEN)[:40]!r}")
    if piece.open:
        if lines.damage:
            raise RecordError("E_TRUNCATED", f"{lines.damage}; every record before this one is whole")
        raise RecordError("E_JSON", "not JSON: the record is never closed")
    return parse_record(piece.raw, defaults, tally)


def _recognised(sample: bytes) -> str:
    begins = _BEGINS.match(sample)
    if not begins:
        return ""
    return "it begins with an array" if begins[0].lstrip().startswith(b"[") else "it begins with a JSON object"


READER = Reader(read_json, _recognised)
