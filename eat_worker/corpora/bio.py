"""BIO files: sentences of token lines, in any of the layouts of `layouts.py`, as documents with code-point gold.

A sentence is the record: it becomes a document or is refused as a whole. The text is the file's own `# text = ` where
there is one, else the tokens put together as the language is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from eat_worker.corpora.gold import in_order
from eat_worker.corpora.identifiers import SeenIds
from eat_worker.corpora.iob import spans_of
from eat_worker.corpora.jsonl import Defaults, check_line, check_text
from eat_worker.corpora.layouts import Layout, Row, detect
from eat_worker.corpora.opening import Line, Lines
from eat_worker.corpora.records import RecordError, Rejected, Tally
from eat_worker.corpora.surface import positions, put_together, surface, trimmed
from eat_worker.corpora.tagmaps import tag_map
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document, GoldEntity
from eat_worker.method.languages import LANGUAGES

_SAMPLE_LINES, _SAMPLE_BYTES = 500, 2**20
_DOCUMENT_START = b"-DOCSTART-"
# `# sent_id = 7`, `# id 7<TAB>domain=dev`, `## 7<TAB>marked-up text`
_ID = re.compile(r"#\s*sent_id\s*=\s*(\S+)|#\s*id\s+(\S+)|##\s*(\S+)\t")
_TEXT = re.compile(r"#\s*text\s*=\s?(.*)")


@dataclass(slots=True)
class _Sentence:
    """The lines of one record as they come in; what follows after the limit is counted and forgotten."""

    lines: list[Line] = field(default_factory=list)
    size: int = 0
    dropped: int = 0

    def add(self, line: Line, limit: int) -> None:
        if self.dropped or (self.lines and self.size + len(line.raw) > limit):
            self.dropped += len(line.raw) + line.dropped
            return
        self.lines.append(line)
        self.size += len(line.raw)
        self.dropped += line.dropped


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the sentences of a file have in common."""

    layout: Layout
    defaults: Defaults
    lang: str
    strict: bool
    tally: Tally


def read_bio(lines: Lines, defaults: Defaults, tally: Tally, *, strict: bool = False) -> Iterator[Document | Rejected]:
    """The documents and refused sentences of a file, in order.

    An I- tag that begins an entity is repaired and counted, or with `strict` refused. Raises CorpusError when the file
    has no column of tags, or neither it nor `defaults` names the language.
    """
    source = iter(lines)
    sample = _sample(source)
    layout = _layout(lines.name, sample)
    reading = _Reading(layout, defaults, _lang(lines.name, layout, defaults), strict, tally)
    seen = SeenIds()
    for sentence in _sentences(chain(sample, source), lines.limit, tally):
        first = sentence.lines[0]
        try:
            document = _document(sentence, lines, reading)
        except RecordError as error:
            tally.rejected[error.code] += 1
            tally.rejected_bytes += sentence.size + sentence.dropped
            raw = b"".join(line.raw for line in sentence.lines)
            yield Rejected(lines.name, first.number, first.byte, error.code, str(error), raw, sentence.dropped)
            continue
        if document is None:
            tally.other_bytes += sentence.size
            continue
        tally.documents += 1
        tally.document_bytes += sentence.size
        yield _with_own_id(document, seen, first.number)


def _with_own_id(document: Document, seen: SeenIds, line: int) -> Document:
    """Sentence ids are remarks, and files put together of several repeat them: a second one gets its line number."""
    if document.ext_id is None or seen.other(document.ext_id, line, line) is None:
        return document
    return replace(document, ext_id=f"{document.ext_id}@{line}")


def _sample(source: Iterator[Line]) -> list[Line]:
    sample, size = [], 0
    for line in source:
        sample.append(line)
        size += len(line.raw)
        if len(sample) >= _SAMPLE_LINES or size >= _SAMPLE_BYTES:
            break
    return sample


def _layout(name: str, sample: Sequence[Line]) -> Layout:
    layout = detect([line.raw.decode(errors="replace").rstrip("\r\n") for line in sample])
    if layout is None:
        raise CorpusError(
            f"{name} has no column of BIO tags (O, B-PER, I-PER ...); if it is JSON Lines: --format jsonl"
        )
    return layout


def _lang(name: str, layout: Layout, defaults: Defaults) -> str:
    """The language that the tokens carry, else the default."""
    carried = layout.prefix.removesuffix(":")
    lang = carried if carried in LANGUAGES else defaults.lang
    if lang is None:
        raise CorpusError(f"{name} does not say its language; give --lang CODE")
    return lang


def _sentences(source: Iterator[Line], limit: int, tally: Tally) -> Iterator[_Sentence]:
    """Runs of lines between blank lines; a line of a tab or a visible character is not blank."""
    sentence = _Sentence()
    for line in source:
        if line.dropped or line.cut or line.raw.strip(b" \r\n"):
            sentence.add(line, limit)
            continue
        tally.other_bytes += len(line.raw)
        if sentence.lines:
            yield sentence
            sentence = _Sentence()
    if sentence.lines:
        yield sentence


def _document(sentence: _Sentence, lines: Lines, reading: _Reading) -> Document | None:
    """The document of a sentence; None when it holds no token. Raises RecordError with the reason it is refused."""
    for line in sentence.lines:
        check_line(line, lines)
    if sentence.dropped:
        size = sentence.size + sentence.dropped
        raise RecordError("E_TEXT_TOO_LONG", f"{size:,} bytes without a blank line; a sentence ends at a blank line")
    rows: list[Row] = []
    comments: list[str] = []
    for line in sentence.lines:
        text = _decoded(line)
        if reading.layout.is_comment(text):
            comments.append(text)
        elif text.strip() and not line.raw.startswith(_DOCUMENT_START):
            rows.append(_row(reading.layout, text, line.number))
    return _built(rows, comments, reading) if rows else None


def _decoded(line: Line) -> str:
    try:
        text = line.raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        bad = line.raw[error.start : error.start + 1].hex()
        raise RecordError("E_UTF8", f"line {line.number}: byte {error.start} (0x{bad}) is not UTF-8") from None
    if "\x00" in text:
        raise RecordError("E_NUL", f"line {line.number} holds U+0000, which a database cannot store; remove it")
    return text


def _row(layout: Layout, text: str, number: int) -> Row:
    try:
        return layout.row(text)
    except RecordError as error:
        raise RecordError(error.code, f"line {number}: {error}") from None


def _built(rows: list[Row], comments: list[str], reading: _Reading) -> Document:
    if reading.layout.numbered:
        rows = surface(rows)
    given = next((found[1] for comment in comments if (found := _TEXT.match(comment))), None)
    spans = None if given is None else positions(given, rows)
    if given is None or spans is None:
        given, spans = put_together(rows, joined=reading.layout.characters or not LANGUAGES[reading.lang].spaced)
    text = check_text(given)
    gold = _gold(text, rows, spans, reading)
    return Document(text, reading.lang, _ext_id(comments), reading.defaults.dataset, gold)


def _gold(
    text: str, rows: Sequence[Row], spans: Sequence[tuple[int, int]], reading: _Reading
) -> tuple[GoldEntity, ...]:
    entities, repaired = spans_of([row.tag for row in rows])
    if repaired and reading.strict:
        raise RecordError("E_TAG", "an I- tag begins an entity; B- must (strict)")
    reading.tally.repaired += repaired
    found = []
    for first, last, tag in entities:
        start, end = trimmed(text, spans[first][0], spans[last - 1][1])
        if start < end:
            found.append((start, end, tag))
        else:
            reading.tally.dropped[tag] += 1
    return in_order(found, reading.defaults.tags or tag_map(reading.defaults.dataset), reading.tally.dropped)


def _ext_id(comments: Sequence[str]) -> str | None:
    for comment in comments:
        if found := _ID.match(comment):
            return found[found.lastindex or 1]
    return None
