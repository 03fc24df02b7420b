"""Texts cut into tokens, and entities moved to the borders of tokens, for the formats that cannot point into one.

The tokens are the units that answers are bound to: words and punctuation marks, or single characters with their marks
(and Latin words whole) in languages that write no blanks between words or join particles to nouns, which are Burmese,
Chinese, Japanese, Khmer, Korean, Lao, Thai and Tibetan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eat_worker.corpora.exports import Written
from eat_worker.method.constraint import units_of
from eat_worker.method.languages import LANGUAGES


class Token(NamedTuple):
    """Code points [start, end) of the text; `blank` where it is white space."""

    start: int
    end: int
    words: str
    blank: bool


class Mark(NamedTuple):
    """An entity over tokens [first, last)."""

    first: int
    last: int
    tag: str


@dataclass(frozen=True, slots=True)
class Tokenised:
    """One record as `units`, which joined are its text, its `tokens`, which are those without white space, and its
    entities over the tokens, in order."""

    segmenter: str
    units: Sequence[Token]
    tokens: Sequence[Token]
    marks: Sequence[Mark]

    def tags(self) -> list[str]:
        """One IOB2 tag per token."""
        tags = ["O"] * len(self.tokens)
        for first, last, tag in self.marks:
            tags[first:last] = [f"B-{tag}", *[f"I-{tag}"] * (last - first - 1)]
        return tags


def tokenised(record: Mapping[str, Any], written: Written) -> Tokenised:
    """The record by tokens; what was moved, left out and how it was cut is counted. Raises EatError as `Written`."""
    segmenter, units = _segmented(record, written)
    tokens = [token for token in units if not token.blank]
    marks: list[Mark] = []
    for entity in sorted(record["entities"], key=lambda entity: (entity["start"], entity["end"])):
        mark = _mark(tokens, entity)
        if mark is None:
            written.dropped["entities that cover blanks only"] += 1
        elif marks and mark.first < marks[-1].last:
            written.dropped["entities that share a token with another"] += 1
        else:
            if _moved(record, entity, tokens[mark.first].start, tokens[mark.last - 1].end):
                written.snap(record, entity)
            marks.append(mark)
    return Tokenised(segmenter, units, tokens, marks)


def _segmented(record: Mapping[str, Any], written: Written) -> tuple[str, list[Token]]:
    """What the text was cut into (words or characters) and all its tokens; joined they are the text."""
    segmenter = written.tokens
    if segmenter == "auto":
        language = LANGUAGES.get(record["lang"])
        segmenter = "characters" if language and language.by_characters else "words"
    written.segmenters[segmenter] += 1
    tokens = []
    at = 0
    for unit in units_of(record["text"], characters=segmenter == "characters"):
        tokens.append(Token(at, at + len(unit), unit, unit.isspace()))
        at += len(unit)
    return segmenter, tokens


def _mark(tokens: Sequence[Token], entity: Mapping[str, Any]) -> Mark | None:
    inside = [
        number for number, token in enumerate(tokens) if token.end > entity["start"] and token.start < entity["end"]
    ]
    return Mark(inside[0], inside[-1] + 1, entity["tag"]) if inside else None


def _moved(record: Mapping[str, Any], entity: Mapping[str, Any], start: int, end: int) -> bool:
    """Whether the borders are others than the entity's; blanks at its ends are no part of it."""
    words = record["text"][entity["start"] : entity["end"]]
    first = entity["start"] + len(words) - len(words.lstrip())
    return (start, end) != (first, first + len(words.strip()))
