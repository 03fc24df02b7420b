"""A quarantine file, after its records were repaired: each row holds one record of another file, which is read again.

What is edited is `raw`, the record as text; a row whose `raw` was taken out is read from `raw_base64`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import replace

import orjson

from eat_worker.corpora.opening import Line, Lines
from eat_worker.corpora.parsing import Defaults, check_line, parse_object
from eat_worker.corpora.readers import Reader, reader, recognise, sample_lines
from eat_worker.corpora.records import RecordError, Rejected, Tally
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document

_KEYS = {"file", "line", "code", "raw_base64"}


def read_quarantine(lines: Lines, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    """The documents of the repaired records; the others are refused again, with the reason they have now."""
    for line in lines:
        if line.blank:
            tally.other_bytes += len(line.raw)
            continue
        size = len(line.raw) + line.dropped
        try:
            found = list(_again(line, lines, defaults, tally))
        except RecordError as error:
            found = [Rejected(lines.name, line.number, line.byte, error.code, str(error), line.raw, line.dropped)]
        refused = [one for one in found if isinstance(one, Rejected)]
        if refused:
            tally.rejected[refused[0].code] += 1
            tally.rejected_bytes += size
            yield replace(refused[0], line=line.number, byte=line.byte, raw=line.raw, dropped=line.dropped)
        else:
            tally.documents += len(found)
            tally.document_bytes += size
            yield from found


def _again(line: Line, lines: Lines, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    check_line(line, lines)
    row = parse_object(line.raw)
    if row.get("dropped"):
        raise RecordError("E_LINE_TOO_LONG", "only the beginning of the record was kept; repair it in its own file")
    raw, packed = row.get("raw"), row.get("raw_base64")
    try:
        body = raw.encode() if isinstance(raw, str) else base64.b64decode(str(packed), validate=True)
    except binascii.Error as error:
        raise RecordError("E_FIELD", f"raw_base64 cannot be decoded: {error}") from None
    own = Tally()
    try:
        inner = Lines(lines.name, iter([body]), lines.limit, encoding="utf-8")
        read = reader(recognise(inner.sample)[0]).read
        if read is None or read is read_quarantine:
            raise RecordError("E_FIELD", "a quarantined record cannot be a file of its own")
        yield from read(inner, defaults, own)
    except CorpusError as error:
        raise RecordError("E_FIELD", str(error)) from None
    tally.notes.update(own.notes)
    tally.dropped.update(own.dropped)
    tally.repaired += own.repaired


def _recognised(sample: bytes) -> str:
    lines = sample_lines(sample)
    try:
        first = orjson.loads(lines[0]) if lines else None
    except orjson.JSONDecodeError:
        return ""
    return "it holds refused records" if isinstance(first, dict) and first.keys() >= _KEYS else ""


READER = Reader(read_quarantine, _recognised)
