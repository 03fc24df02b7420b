"""English text cut into words that know where they stand; the tokens of the CRF.

Knows code points. Knows no tag and no model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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
