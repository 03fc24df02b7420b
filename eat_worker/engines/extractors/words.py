"""English text cut into words that know where they stand, the tokens of the CRF; and one label per word.

Labels are O, B-PER, I-PER ... as every sequence labeller here learns and says them. Knows code points; knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from eat_worker.metrics.f1 import Entity, bio_spans

_WORD = re.compile(
    r"""
      (?:https?://|www\.)\S+          # an address is one word
    | [\w.+-]+@[\w-]+\.[\w.-]+
    | (?:[^\W\d_]\.){2,}              # U.S., J.R.R.
    | (?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Prof|Gen|Col|Sen|Rep|Gov|Lt|Sgt|Inc|Ltd|Co|Corp|No|vs)\.
    | ['’](?:s|S|re|ve|ll|d|m|t)\b    # Ann's
    | \d+(?:[.,:]\d+)*
    | [^\W\d_]+(?:['’](?!(?:s|S|re|ve|ll|d|m)\b)[^\W\d_]+)*   # word, O'Brien, don't
    | \S
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text at code points [start, end); `glued` when no blank stands before it."""

    text: str
    start: int
    end: int
    glued: bool


def words_of(text: str) -> list[Word]:
    """The words of an English text, in order. Hyphens and punctuation are words of their own."""
    found: list[Word] = []
    for match in _WORD.finditer(text):
        start, end = match.span()
        found.append(Word(match[0], start, end, bool(found) and found[-1].end == start))
    return found


NAMES: Mapping[str, str] = MappingProxyType(
    {"PER": "PER", "LOC": "LOC", "ORG": "ORG", "PERSON": "PER", "LOCATION": "LOC", "GPE": "LOC", "ORGANIZATION": "ORG"}
)
"""What the types of foreign checkpoints are here; any other type is O."""


def labels_of(words: Sequence[Word], entities: Iterable[Entity]) -> list[str]:
    """The label of each word; a word belongs to an entity that covers part of it, the first one where several do."""
    labels = ["O"] * len(words)
    for start, end, tag in sorted(entities):
        prefix = "B"
        for place, word in enumerate(words):
            if word.start < end and start < word.end and labels[place] == "O":
                labels[place] = f"{prefix}-{tag}"
                prefix = "I"
    return labels


def entities_of(words: Sequence[Word], labels: Sequence[str]) -> list[Entity]:
    """The entities that labels say, over code points: an I- that continues nothing opens one, types as NAMES has them.

    Raises ValueError on a label that is no BIO label.
    """
    return [
        (words[first].start, words[last - 1].end, NAMES[kind])
        for first, last, kind in bio_spans(labels)
        if kind in NAMES
    ]
