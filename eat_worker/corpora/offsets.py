"""What gold offsets count: code points, UTF-16 code units as browsers do, or bytes of UTF-8; and which of them fits.

Knows texts and pairs of offsets; knows no tag and no file.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Literal, NamedTuple, get_args

Unit = Literal["code-points", "utf16", "bytes"]
UNITS: tuple[Unit, ...] = get_args(Unit)
SAID = {"code-points": "code points", "utf16": "UTF-16 code units", "bytes": "bytes of UTF-8"}


class Mention(NamedTuple):
    """An entity as a file has it: [start, end) in some unit, its tag, and its words where the file repeats them."""

    start: int
    end: int
    tag: str
    words: str | None = None


class Ruler:
    """The places of a text's characters, counted in one unit."""

    def __init__(self, text: str, unit: Unit) -> None:
        self._length = len(text)
        self._plain = (
            unit == "code-points" or text.isascii() or (unit == "utf16" and max(text, default="") < "\U00010000")
        )
        self._places: list[int] = []
        if not self._plain:
            self._places = list(accumulate(map(_utf16 if unit == "utf16" else _bytes, text), initial=0))

    def place(self, offset: int) -> int | None:
        """An offset in code points; None where no character begins or ends."""
        if self._plain:
            return offset if 0 <= offset <= self._length else None
        found = bisect_left(self._places, offset)
        return found if found <= self._length and self._places[found] == offset else None


def _utf16(character: str) -> int:
    return 1 + (character > "\uffff")


def _bytes(character: str) -> int:
    return 1 + (character > "\x7f") + (character > "\u07ff") + (character > "\uffff")


def converted(mentions: Iterable[Mention], text: str, unit: Unit) -> list[Mention] | None:
    """The mentions in code points; None when one is no span of the text, or its words do not stand there."""
    ruler = Ruler(text, unit)
    found = []
    for mention in mentions:
        start, end = ruler.place(mention.start), ruler.place(mention.end)
        if start is None or end is None or start >= end:
            return None
        if mention.words is not None and not _same(mention.words, text[start:end]):
            return None
        found.append(mention._replace(start=start, end=end))
    return found


def _same(words: str, text: str) -> bool:
    return words == text or "".join(words.split()).casefold() == "".join(text.split()).casefold()


def fitting(mentions: Sequence[Mention], text: str, but: Unit) -> Unit | None:
    """Another unit in which all mentions are spans of the text with their words."""
    return next((unit for unit in UNITS if unit != but and converted(mentions, text, unit) is not None), None)


def is_doubtful(mentions: Iterable[Mention], text: str) -> bool:
    """Whether UTF-16 would give other spans, and no words say which are meant."""
    if max(text, default="") < "\U00010000":
        return False
    first = next(place for place, character in enumerate(text) if character > "\uffff")
    return any(mention.words is None and mention.end > first for mention in mentions)
