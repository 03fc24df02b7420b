"""A text as it is and as it is compared: normalised views with an offset map back to the raw code points.

Texts are stored raw and compared folded. A view is built segment by segment (one starter with everything that can
combine with it), so that each character of the view knows the raw code points [start, end) it came from.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from eat_worker.method.document import Span

# Marks that change how a word looks and not which word it is: stress, Arabic vowel signs and tatweel, soft hyphen,
# zero-width characters, bidirectional controls, variation selectors.
_DROPPED = frozenset(
    [
        0x0301,
        0x0640,
        *range(0x064B, 0x0660),
        0x0670,
        0x00AD,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2065),
        *range(0x2066, 0x206A),
        *range(0xFE00, 0xFE10),
        0x061C,
        0xFEFF,
    ]
)
_HANGUL_TAIL = (0x1160, 0x11FF)  # medial vowels and final consonants join the syllable before them


@dataclass(frozen=True, slots=True)
class View:
    """A normalised text; character i of `text` came from the raw code points [starts[i], ends[i])."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def raw_span(self, start: int, end: int) -> Span:
        """The raw code points behind [start, end) of the view; `start` < `end`."""
        return Span(self.starts[start], max(self.ends[start:end]))

    def find_all(self, needle: str) -> Iterator[Span]:
        """The raw spans of every occurrence of `needle`, which is in the view's own normal form, from the left."""
        at = self.text.find(needle) if needle else -1
        while at >= 0:
            yield self.raw_span(at, at + len(needle))
            at = self.text.find(needle, at + 1)


def composed(text: str) -> View:
    """NFC: the same characters however they were typed."""
    return _view(text, lambda segment: unicodedata.normalize("NFC", segment))


def folded(text: str) -> View:
    """NFKC and case fold, without white space and without the marks that do not tell words apart."""
    return _view(text, _fold)


def fold(words: str) -> str:
    """`words` in the form of `folded`."""
    return folded(words).text


def _fold(segment: str) -> str:
    compatible = unicodedata.normalize("NFKC", unicodedata.normalize("NFC", segment)).casefold()
    kept = [char for char in compatible if ord(char) not in _DROPPED and not char.isspace()]
    return unicodedata.normalize("NFKC", "".join(kept))


def _view(text: str, normal_form: Callable[[str], str]) -> View:
    characters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in segments(text):
        for char in normal_form(text[start:end]):
            characters.append(char)
            starts.append(start)
            ends.append(end)
    return View("".join(characters), tuple(starts), tuple(ends))


def segments(text: str) -> Iterator[tuple[int, int]]:
    """[start, end) of each starter with the marks and Hangul tails that may combine with it."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not _joins(text[at]):
            yield start, at
            start = at
        if at == len(text):
            return


def _joins(char: str) -> bool:
    if char.isascii():
        return False
    return unicodedata.category(char)[0] == "M" or _HANGUL_TAIL[0] <= ord(char) <= _HANGUL_TAIL[1]
