"""Plain text: one sentence a line; with --split, one paragraph a line. It has no gold, and its language is `--lang`."""

from __future__ import annotations

from collections.abc import Iterator

from eat_worker.corpora.opening import Line, Lines
from eat_worker.corpora.parsing import Defaults, check_line, check_text
from eat_worker.corpora.readers import Reader
from eat_worker.corpora.records import RecordError, Rejected, Tally
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document


def read_text(lines: Lines, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    """A document for each line that shows something. Raises CorpusError when no language is given."""
    if defaults.lang is None:
        raise CorpusError(f"{lines.name} is plain text and does not say its language; give --lang CODE")
    for line in lines:
        if line.blank:
            tally.other_bytes += len(line.raw)
            continue
        try:
            check_line(line, lines)
            document = Document(_text(line, defaults), defaults.lang, None, defaults.dataset)
        except RecordError as error:
            tally.rejected[error.code] += 1
            tally.rejected_bytes += len(line.raw) + line.dropped
            yield Rejected(lines.name, line.number, line.byte, error.code, str(error), line.raw, line.dropped)
        else:
            tally.documents += 1
            tally.document_bytes += len(line.raw)
            yield document


def _text(line: Line, defaults: Defaults) -> str:
    try:
        text = line.raw.decode()
    except UnicodeDecodeError as error:
        bad = line.raw[error.start : error.start + 1].hex()
        raise RecordError("E_UTF8", f"byte {error.start} of the line (0x{bad}) is not UTF-8; see --encoding") from None
    if "\x00" in text:
        raise RecordError("E_NUL", "the line holds U+0000, which a database cannot store; remove it")
    return check_text(text.removesuffix("\n").removesuffix("\r"), defaults.max_text)


READER = Reader(read_text, lambda _: "no other format")
