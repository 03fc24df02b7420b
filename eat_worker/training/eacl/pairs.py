"""One EACL pair, and the JSON Lines in which pairs are kept.

A pair says how the Wikipedia of a language calls an English entity, and shows that name in a sentence (section 3.2 of
the paper: e, u^a, v_1^a). Knows records; knows no network, no model and no prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eat_worker.corpora.opening import open_lines
from eat_worker.errors import CorpusError
from eat_worker.method.languages import LANGUAGES, advice
from eat_worker.training.eacl.objects import objects_in

_NAMED = re.compile(r"(?:corpus_)?([a-z]{2})(?:\.|$)")  # ko.jsonl, ko.train.jsonl, corpus_ko.json
# The names of the released files beside ours.
_KEYS = {"english": ("english", "eng_entity"), "title": ("title", "tgt_entity"), "text": ("text",)}
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class EaclPair:
    """`english`: e as the English data set writes it. `title`: u, the title of the page in `lang`. `text`: v, one
    sentence of that page. `words`: how the title stands in the text, letter by letter; None when nothing has found it.
    """

    lang: str
    english: str
    title: str
    text: str
    words: str | None = None

    @property
    def page(self) -> str:
        """What page of which Wikipedia the pair is about: `ko:서울`."""
        return f"{self.lang}:{self.title}"

    def to_json(self) -> dict[str, str]:
        """The record as `read_pairs` reads it."""
        record = {"lang": self.lang, "english": self.english, "title": self.title, "text": self.text}
        return record if self.words is None else record | {"words": self.words}


@dataclass(frozen=True, slots=True)
class Refused:
    """What became no pair: one word of reason for counting, a sentence for people, and the record as it was."""

    reason: str
    message: str
    record: Any

    def to_json(self) -> dict[str, Any]:
        """The record of a file of rejects."""
        return {"reason": self.reason, "message": self.message, "record": self.record}


class PairError(Exception):
    """A record that is no pair; `reason` is one word, counted and kept with it. Never leaves `training.eacl`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def lang_of(path: Path | str) -> str | None:
    """The language that a file's name tells: `ko.jsonl`, `corpus_ko.json`. None where it tells none."""
    found = _NAMED.match(Path(path).name)
    return found[1] if found and found[1] in LANGUAGES else None


def parse_pair(raw: bytes, lang: str | None = None) -> EaclPair:
    """One JSON object as a pair, ours or the released one's; `lang` is for records that do not say.

    Blanks around a name or sentence are cut off. Raises PairError: not_json, not_object, no_lang, no_english, no_title,
    no_text, bad_type or bad_words.
    """
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise PairError("not_json", f"not JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(record, dict):
        raise PairError("not_object", "not a JSON object with english, title and text")
    english, title, text = (_required(record, name) for name in ("english", "title", "text"))
    words = record.get("words")
    if words is None:
        words = title if title in text else None
    elif not isinstance(words, str) or not words or words not in text:
        raise PairError("bad_words", "words do not occur in the text")
    return EaclPair(_lang(record.get("lang"), lang), english, title, text, words)


def _required(record: Mapping[str, Any], name: str) -> str:
    keys = _KEYS[name]
    value = next((record[key] for key in keys if record.get(key) is not None), "")
    if not isinstance(value, str):
        raise PairError("bad_type", f"{' or '.join(keys)} must be a string")
    if not value.strip():
        raise PairError(f"no_{name}", f"{' or '.join(keys)} is missing or blank")
    if "\x00" in value or _SURROGATE.search(value):
        raise PairError("bad_type", f"{' or '.join(keys)} holds U+0000 or half of a surrogate pair")
    return value.strip()


def _lang(value: object, default: str | None) -> str:
    lang = default if value is None else value
    if lang is None:
        raise PairError("no_lang", "names no language; add lang to it, or name the file ko.jsonl, or give --lang")
    if not isinstance(lang, str) or lang not in LANGUAGES:
        raise PairError("no_lang", f"unknown language {str(lang)[:40]!r}; {advice(str(lang))}")
    return lang


def read_pairs(path: Path | str, lang: str | None = None) -> Iterator[EaclPair]:
    """The pairs of a JSON Lines file, or `-` for standard input, in order; the file is read as they are taken.

    The language is the record's own, else `lang`, else what the file's name tells. Raises CorpusError, with file and
    line, on the first record that is no pair: `eat eacl import` takes files that have such.
    """
    default = lang or lang_of(path)
    with open_lines(path) as lines:
        for line in lines:
            if line.raw.isspace():
                continue
            if line.dropped or line.cut:
                raise CorpusError(f"{lines.name}:{line.number}: the line is too long, or the file ends inside it")
            try:
                yield parse_pair(line.raw, default)
            except PairError as error:
                raise CorpusError(
                    f"{lines.name}:{line.number}: {error}; to leave such records out: eat eacl import {lines.name}"
                ) from None


def import_pairs(path: Path | str, lang: str | None = None) -> Iterator[EaclPair | Refused]:
    """The pairs and refused records of a file in order: a JSON array, JSON Lines, or pretty-printed objects.

    The language is the record's own, else `lang`, else what the file's name tells (`corpus_ko.json`). Raises
    CorpusError when the file cannot be read or is empty.
    """
    default = lang or lang_of(path)
    for found in objects_in(path):
        try:
            yield parse_pair(found.raw, default)
        except PairError as error:
            shown = found.raw.decode("utf-8", errors="replace")
            yield Refused(error.reason, f"{path}:{found.line}: {error}", shown)
