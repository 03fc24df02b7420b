"""From a record of named fields to a document: `text` required, `id`, `lang`, `dataset`, `entities`, `meta` optional.

Text is kept exactly as received. Knows JSON values and their bytes; knows no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from eat_worker.corpora.gold import parse_entities
from eat_worker.corpora.identifiers import SeenIds
from eat_worker.corpora.layouts import Row
from eat_worker.corpora.offsets import Unit
from eat_worker.corpora.opening import VISIBLE, Line, Lines
from eat_worker.corpora.records import RecordError, Tally
from eat_worker.corpora.shapes import reshaped, tagged_tokens
from eat_worker.corpora.strict import MAX_DEPTH, check_depth, check_nul, explain
from eat_worker.corpora.tagged import gold_of, text_of
from eat_worker.corpora.tagmaps import TagMap, tag_map
from eat_worker.method.document import Document, GoldEntity
from eat_worker.method.languages import LANGUAGES, advice

MAX_TEXT = 200_000  # code points

MAX_PARTS = 500_000  # commas and brackets of a record; each may become an object of a hundred bytes


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a record takes that does not say so itself. `tags` None: the map that belongs to the record's dataset."""

    lang: str | None = None
    dataset: str | None = None
    tags: TagMap | None = None
    #: What gold offsets count; None: code points, unless the words of the entities show otherwise.
    offsets: Unit | None = None
    #: Refuse an I- tag that begins an entity.
    strict_bio: bool = False
    max_text: int = MAX_TEXT


def check_line(line: Line, lines: Lines) -> None:
    """Raises RecordError when the line is longer than the limit, or the file broke off inside it."""
    if line.dropped:
        size = len(line.raw) + line.dropped
        raise RecordError("E_LINE_TOO_LONG", f"the line has {size:,} bytes; at most {lines.limit:,} are read")
    if line.cut:
        raise RecordError("E_TRUNCATED", f"{lines.damage}; every line before this one is whole")


def check_id(seen: SeenIds, document: Document, line: int) -> None:
    """Raises RecordError (E_DUP_ID) when the id stood before with another text, language or gold."""
    assert document.ext_id is not None
    other = seen.other(document.ext_id, (document.text, document.lang, document.gold), line)
    if other is not None:
        shown = document.ext_id[:80]
        raise RecordError("E_DUP_ID", f"id {shown!r} on line {line} already belongs to another record, on line {other}")


def parse_record(raw: bytes, defaults: Defaults, tally: Tally) -> Document:
    """One JSON object as a document. Raises RecordError with the reason why it is none."""
    return document_of(parse_object(raw), defaults, tally)


def parse_object(raw: bytes) -> dict[str, Any]:
    """One JSON object. Raises RecordError with the reason why it is none."""
    openings = raw.count(b"{") + raw.count(b"[")
    if openings > MAX_DEPTH:
        check_depth(raw)
    if len(raw) > MAX_PARTS and openings + raw.count(b",") > MAX_PARTS:
        raise RecordError("E_LINE_TOO_LONG", f"the record has more than {MAX_PARTS:,} parts")
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise explain(raw, f"{error.msg} at character {error.pos}") from None
    if type(record) is not dict:
        raise RecordError("E_NOT_OBJECT", f"the line is a JSON {_kind(record)}; it must be an object with a text")
    if b"\\u0000" in raw:
        check_nul(record)
    return record


def document_of(record: dict[str, Any], defaults: Defaults, tally: Tally) -> Document:
    """A record as a document; unknown keys go into `meta`. Raises RecordError with the reason why it is none."""
    record = reshaped(record, tally)
    dataset = _dataset(record.pop("dataset", None), defaults.dataset)
    tags = defaults.tags or tag_map(dataset)
    pairs = tagged_tokens(record, dataset)
    given = record.pop("text", None)
    if pairs is None:
        check_text(given, defaults.max_text)
    lang = check_lang(record.pop("lang", None), defaults.lang)
    gold: tuple[GoldEntity, ...] | None
    if pairs is not None:
        rows = [Row(*pair) for pair in pairs]
        text, spans = text_of(rows, given, tally, joined=not LANGUAGES[lang].spaced)
        check_text(text, defaults.max_text)
        gold = gold_of(text, rows, spans, tags, tally, strict=defaults.strict_bio)
    else:
        text = given
        value = record.pop("entities", None)
        gold = None if value is None else parse_entities(value, text, tags, tally, defaults.offsets)
    return Document(text, lang, _ext_id(record.pop("id", None)), dataset, gold, _meta(record))


def check_text(text: object, longest: int = MAX_TEXT) -> str:
    """A text that can be annotated. Raises RecordError: E_TEXT_MISSING, _TYPE, _TOO_LONG or _BLANK."""
    if text is None:
        raise RecordError("E_TEXT_MISSING", "the record has no text")
    if not isinstance(text, str):
        raise RecordError("E_TEXT_TYPE", f"text must be a string, not a JSON {_kind(text)}")
    if len(text) > longest:
        size = f"{len(text):,} code points; a document has at most {longest:,}"
        raise RecordError("E_TEXT_TOO_LONG", f"the text has {size}: split it into sentences, or give --split")
    if VISIBLE.search(text) is None:
        raise RecordError("E_TEXT_BLANK", "the text is blank")
    return text


def check_lang(lang: object, default: str | None) -> str:
    """A known language code: the record's own or, where it has none, the default. Raises RecordError (E_LANG)."""
    if lang is None:
        lang = default
    if isinstance(lang, str) and lang in LANGUAGES:
        return lang
    if lang is None:
        raise RecordError("E_LANG", "the record names no language; add lang to it, or give --lang")
    if not isinstance(lang, str):
        raise RecordError("E_LANG", f"lang must be a string, not a JSON {_kind(lang)}")
    raise RecordError("E_LANG", f"unknown language code {lang[:40]!r}; {advice(lang)}")


def _ext_id(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    if type(value) is int:
        return str(value)
    if value == "":
        raise RecordError("E_ID", "the id is an empty string; leave it out or fill it")
    raise RecordError("E_ID", f"id must be a string or an integer below 2**64, not a JSON {_kind(value)}")


def _dataset(value: object, default: str | None) -> str | None:
    if value is None:
        return default
    if isinstance(value, str):
        return value
    raise RecordError("E_FIELD", f"dataset must be a string, not a JSON {_kind(value)}")


def _meta(rest: dict[str, Any]) -> Mapping[str, Any]:
    """The record's `meta`, with the keys nobody knows beside it; where both have a key, `meta` wins."""
    if not rest:
        return rest
    meta = rest.pop("meta", None)
    if meta is None:
        return rest
    if not isinstance(meta, dict):
        raise RecordError("E_FIELD", f"meta must be an object, not a JSON {_kind(meta)}")
    return {**rest, **meta}


def _kind(value: object) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return kinds.get(type(value), "null")
