"""A text as it is and as it is compared: normalised views with an offset map back to the raw code points.

Texts are stored raw and compared folded. A view is built segment by segment (one starter with everything that can
combine with it), so that each character of the view knows the raw code points [start, end) it came from.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from eat_worker.method.document import Span

# Marks that change how a word looks and not which word it is: stress, the dot that case folding leaves of a Turkish
# capital, Devanagari nukta, Arabic vowel signs and tatweel, soft hyphen, zero-width characters, bidirectional controls,
# variation selectors. Only what composition leaves over is dropped: é stays é.
_DROPPED = frozenset(
    [
        0x0301,
        0x0307,
        0x0640,
        *range(0x064B, 0x0660),
        0x0670,
        0x093C,
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
# What is no mark by category and still belongs to the character before it: soft hyphen, Thai and Lao AM, joiners,
# half-width sound marks.
_JOINING = frozenset("\u00ad\u0e33\u0eb3\u200c\u200d\uff9e\uff9f")
_HANGUL_TAIL = (0x1160, 0x11FF)  # medial vowels and final consonants join the syllable before them


@dataclass(frozen=True, slots=True)
class View:
    """A normalised text; character i of `text` came from the raw code points [starts[i], ends[i])."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def raw_span(self, start: int, end: int) -> Span:
        """The raw code points behind [start, end) of the view; `start` < `end`."""
        return Span(self.starts[start], self.ends[end - 1])

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
    if segment.isascii():
        return "" if segment.isspace() else segment.lower()
    compatible = unicodedata.normalize("NFKC", unicodedata.normalize("NFC", segment)).casefold()
    kept = [char for char in compatible if ord(char) not in _DROPPED and not char.isspace()]
    # Russian prints ё as е wherever it likes.
    return unicodedata.normalize("NFKC", "".join(kept)).replace("ё", "е")


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
    for at in range(1, len(text)):
        if not joins(text[at]):
            yield start, at
            start = at
    if text:
        yield start, len(text)


def cuts_segment(text: str, at: int) -> bool:
    """Whether a span that begins or ends before code point `at` takes a character apart."""
    return 0 < at < len(text) and joins(text[at])


def joins(char: str) -> bool:
    """Whether `char` belongs to the character before it: a combining mark, a joiner, a Hangul vowel or final."""
    if char.isascii():
        return False
    return unicodedata.category(char)[0] == "M" or _HANGUL_TAIL[0] <= ord(char) <= _HANGUL_TAIL[1] or char in _JOINING
