"""BIO files: sentences of token lines, in any of the layouts of `layouts.py`, as documents with code-point gold.

A sentence is the record: it becomes a document or is refused as a whole. The text is the file's own `# text = ` where
there is one, else the tokens put together as the language is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from eat_worker.corpora.identifiers import SeenIds
from eat_worker.corpora.layouts import Layout, Row, detect, is_spelt
from eat_worker.corpora.opening import Line, Lines
from eat_worker.corpora.parsing import Defaults, check_line, check_text
from eat_worker.corpora.readers import Reader, sample_lines
from eat_worker.corpora.records import RecordError, Rejected, Tally
from eat_worker.corpora.surface import positions, surface
from eat_worker.corpora.tagged import gold_of, text_of
from eat_worker.corpora.tagmaps import tag_map
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document
from eat_worker.method.languages import LANGUAGES

MAX_LINES = 50_000  # of a sentence; a line of two bytes costs a hundred while it waits
_MAX_BYTES = 2**22
_SAMPLE_SENTENCES, _SAMPLE_LINES = 200, 20_000
_DOCUMENT_START = b"-DOCSTART-"
# `# sent_id = 7`, `# id 7<TAB>domain=dev`, `## 7<TAB>marked-up text`
_ID = re.compile(r"#\s*sent_id\s*=\s*(\S+)|#\s*id\s+(\S+)|##\s*(\S+)\t")
_TEXT = re.compile(r"#\s*text\s*=\s?(.*)")
_TAGGED = re.compile(rb"(?:[^{\[<\"].*)?[ \t](?:O|[BIESLUM]-\S+)[ \t]*", re.DOTALL)


@dataclass(slots=True)
class _Sentence:
    """The lines of one record as they come in; what follows after the limit is counted and forgotten."""

    lines: list[Line] = field(default_factory=list)
    size: int = 0
    dropped: int = 0

    def add(self, line: Line, limit: int) -> None:
        full = len(self.lines) >= MAX_LINES or self.size + len(line.raw) > min(limit, _MAX_BYTES)
        if self.dropped or (self.lines and full):
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
    tally: Tally


def read_bio(lines: Lines, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    """The documents and refused sentences of a file, in order.

    An I- tag that begins an entity is repaired and counted, or refused. Raises CorpusError when the file has no column
    of tags, or neither it nor `defaults` names the language.
    """
    sentences = _sentences(iter(lines), lines.limit, tally)
    sample = _sample(sentences)
    layout = _layout(lines.name, sample)
    if not layout.prefixed and defaults.lang is None:
        raise CorpusError(f"{lines.name} does not say its language; give --lang CODE")
    reading = _Reading(layout, defaults, tally)
    seen = SeenIds()
    for sentence in chain(sample, sentences):
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


def _sample(sentences: Iterator[_Sentence]) -> list[_Sentence]:
    sample, size = [], 0
    for sentence in sentences:
        sample.append(sentence)
        size += len(sentence.lines)
        if len(sample) >= _SAMPLE_SENTENCES or size >= _SAMPLE_LINES:
            break
    return sample


def _layout(name: str, sample: Sequence[_Sentence]) -> Layout:
    layout = detect([_shown(line) for line in sentence.lines] for sentence in sample)
    if layout is None:
        raise CorpusError(
            f"{name} has no column of BIO tags (O, B-PER, I-PER ...); if it is JSON Lines: --format jsonl"
        )
    return layout


def _shown(line: Line) -> str:
    return line.raw[:1000].decode(errors="replace").rstrip("\r\n") if len(line.raw) <= 1000 else ""


def _sentences(source: Iterator[Line], limit: int, tally: Tally) -> Iterator[_Sentence]:
    """Runs of lines between blank lines and marks of a document's start."""
    sentence = _Sentence()
    for line in source:
        if not line.blank and not line.raw.startswith(_DOCUMENT_START):
            sentence.add(line, limit)
            continue
        tally.other_bytes += len(line.raw) + line.dropped
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
        else:
            rows.append(_row(reading.layout, text, line.number))
    if rows and rows[0].is_header:
        reading.tally.note("header rows left out")
        del rows[0]
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
    defaults, tally, layout = reading.defaults, reading.tally, reading.layout
    if layout.numbered:
        rows = surface(rows)
    given = next((found[1] for comment in comments if (found := _TEXT.match(comment))), None)
    # Tokens that stand in the given text are what they are, in whatever way the sentences around are cut.
    placed = given is not None and positions(given, rows) is not None
    carried, rows = ("", rows) if placed else layout.tokens(rows)
    lang = _lang(carried, defaults, tally)
    if not placed and not layout.characters and LANGUAGES[lang].spaced and is_spelt(rows):
        raise RecordError("E_LAYOUT", "the tokens are single letters, and those of the file are words")
    joined = layout.characters or not LANGUAGES[lang].spaced
    text, spans = text_of(rows, given, tally, joined=joined)
    check_text(text, defaults.max_text)
    tags = defaults.tags or tag_map(defaults.dataset)
    gold = gold_of(text, rows, spans, tags, tally, strict=defaults.strict_bio)
    return Document(text, lang, _ext_id(comments), defaults.dataset, gold)


def _lang(carried: str, defaults: Defaults, tally: Tally) -> str:
    """The language that the tokens carry, else the default. Raises RecordError (E_LANG) without either."""
    if carried in LANGUAGES:
        if defaults.lang and carried != defaults.lang:
            tally.note(f"sentences in {carried}, as their tokens say, and not in {defaults.lang}")
        return carried
    if defaults.lang is None:
        raise RecordError("E_LANG", f"the tokens carry {carried[:40]!r}, which is no known language; give --lang CODE")
    return defaults.lang


def _ext_id(comments: Sequence[str]) -> str | None:
    for comment in comments:
        if found := _ID.match(comment):
            return found[found.lastindex or 1]
    return None


def _recognised(sample: bytes) -> str:
    """Most lines end in a tag."""
    lines = [line for line in sample_lines(sample) if not line.startswith(b"#")]
    tagged = sum(_TAGGED.fullmatch(line) is not None for line in lines)
    numbered = sum(_is_numbered(line) for line in lines)
    if lines and max(tagged, numbered) * 2 > len(lines):
        return f"{max(tagged, numbered)} of the first {len(lines)} lines end in a tag"
    return ""


def _is_numbered(line: bytes) -> bool:
    fields = line.split(b"\t")
    return len(fields) > 2 and fields[0].isdigit() and _TAGGED.fullmatch(b"x " + fields[2]) is not None


READER = Reader(read_bio, _recognised)
