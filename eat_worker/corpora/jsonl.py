"""JSON Lines: one record per line, `text` required, `id`, `lang`, `dataset`, `entities` and `meta` optional.

Every line ends as a document, as a refused record with its reason, or as a blank. Text is kept exactly as received.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from eat_worker.corpora.gold import parse_entities
from eat_worker.corpora.identifiers import SeenIds
from eat_worker.corpora.opening import Line, Lines
from eat_worker.corpora.records import RecordError, Rejected, Tally
from eat_worker.corpora.strict import MAX_DEPTH, check_depth, check_nul, explain
from eat_worker.corpora.tagmaps import TagMap, tag_map
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document, GoldEntity
from eat_worker.method.languages import LANGUAGES, advice

MAX_TEXT = 200_000  # code points

# What a reader can see. Blanks, controls, zero-width and bidi marks, fillers and soft hyphens alone make no text.
_VISIBLE = re.compile(
    r"[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_ARRAY_FILE = re.compile(rb"\s*\[\s*(?:\{|\Z)")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a record takes that does not say so itself. `tags` None: the map that belongs to the record's dataset."""

    lang: str | None = None
    dataset: str | None = None
    tags: TagMap | None = None


def read_jsonl(lines: Lines, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    """The documents and refused records of a file, in order.

    Raises CorpusError when the file is one JSON array.
    """
    seen = SeenIds()
    first = True
    for line in lines:
        raw = line.raw
        if not line.cut and not line.dropped and raw.isspace():
            tally.other_bytes += len(raw)
            continue
        if first and _ARRAY_FILE.match(raw):
            raise CorpusError(
                f"{lines.name} looks like one JSON array; convert it: jq -c '.[]' {lines.name} > new file"
            )
        first = False
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
    document = parse_record(line.raw, defaults, tally)
    if document.ext_id is not None:
        check_id(seen, document, line.number)
    return document


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
    """One line as a document. Raises RecordError with the reason why it is none. Unknown keys go into `meta`."""
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        check_depth(raw)
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise explain(raw, f"{error.msg} at character {error.pos}") from None
    if type(record) is not dict:
        raise RecordError("E_NOT_OBJECT", f"the line is a JSON {_kind(record)}; it must be an object with a text")
    if b"\\u0000" in raw:
        check_nul(record)
    text = check_text(record.pop("text", None))
    ext_id = _ext_id(record.pop("id", None))
    lang = check_lang(record.pop("lang", None), defaults.lang)
    dataset = _dataset(record.pop("dataset", None), defaults.dataset)
    gold = _gold(record.pop("entities", None), text, defaults.tags or tag_map(dataset), tally)
    return Document(text, lang, ext_id, dataset, gold, _meta(record))


def check_text(text: object) -> str:
    """A text that can be annotated. Raises RecordError: E_TEXT_MISSING, _TYPE, _TOO_LONG or _BLANK."""
    if text is None:
        raise RecordError("E_TEXT_MISSING", "the record has no text")
    if not isinstance(text, str):
        raise RecordError("E_TEXT_TYPE", f"text must be a string, not a JSON {_kind(text)}")
    if len(text) > MAX_TEXT:
        size = f"{len(text):,} code points; a document has at most {MAX_TEXT:,}"
        raise RecordError("E_TEXT_TOO_LONG", f"the text has {size}: split it into sentences")
    if _VISIBLE.search(text) is None:
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


def _gold(value: object, text: str, tags: TagMap, tally: Tally) -> tuple[GoldEntity, ...] | None:
    return None if value is None else parse_entities(value, text, tags, tally.dropped)


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
