"""Where words begin and end in any script, and when two of them are forms of one word.

Knows scripts, not languages, and no dictionary: whatever it says of a word is read off its letters.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from eat_worker.method.document import Span
from eat_worker.method.views import cuts_segment

SHARED_PREFIX = 0.6  # of the longer word, for two inflected forms of one word
_LEAST_PREFIX = 3  # letters
_LEAST_SYLLABLES = 2
_PROCLITIC_LIKENESS = 0.9


class Kind(Enum):
    """How a character takes part in words."""

    LETTER = auto()  # of a script with blanks between words; also digits
    HANGUL = auto()  # blanks before words; particles follow without one
    KATAKANA = auto()  # a run of it is a word
    OPEN = auto()  # words have no visible bounds here: Han, hiragana, Thai and the like, and all that is no letter


_RANGES = (
    (0x0E00, 0x109F, Kind.OPEN),  # Thai, Lao, Tibetan, Myanmar
    (0x1100, 0x11FF, Kind.HANGUL),
    (0x1780, 0x17FF, Kind.OPEN),  # Khmer
    (0x2E80, 0x30A0, Kind.OPEN),  # Han radicals, CJK punctuation, hiragana
    (0x30A1, 0x30FA, Kind.KATAKANA),
    (0x30FB, 0x30FB, Kind.OPEN),  # the dot between katakana words
    (0x30FC, 0x30FF, Kind.KATAKANA),
    (0x3130, 0x318F, Kind.HANGUL),
    (0x31F0, 0x31FF, Kind.KATAKANA),
    (0x3190, 0xA4CF, Kind.OPEN),  # Han, Yi
    (0xA960, 0xA97F, Kind.HANGUL),
    (0xAC00, 0xD7FF, Kind.HANGUL),
    (0xF900, 0xFAFF, Kind.OPEN),
    (0xFF66, 0xFF9F, Kind.KATAKANA),
    (0xFFA0, 0xFFDC, Kind.HANGUL),
    (0x1F000, 0x3FFFF, Kind.OPEN),  # emoji, Han
)

# Korean particles, of which two may follow each other: 에서는, 까지도.
_PARTICLES = re.compile(
    "(?:들|님|씨)?"
    "(?:이라는|라는|이라고|라고|에서|에게|에|께서|께|으로|로|와|과|하고|이랑|랑|부터|까지|처럼|보다|만|마다|조차|마저|밖에|"
    "이나|나|이며|며|이고|고|이다|다|이었다|였다|인|의|은|는|이|가|을|를|도|측)?"
    "(?:부터|까지|보다|은|는|도|만|의|서|을|를|나)?"
)
# Particles that no name ends in by chance, as 이승만 ends in 만.
_SURE_PARTICLE = re.compile("(?:에서|에게|으로|부터|까지|처럼|보다|이라는|라는)$")
# What Arabic and Hebrew write before a noun without a blank: and, in, like, to, the; that, from.
_PROCLITICS = re.compile("[وف]?[بكلس]?(?:ال|ل)?|[ושהבכלמ]{1,3}")


def kind_of(char: str) -> Kind:
    """How `char` takes part in words; a mark has no kind of its own, it goes with the letter before it."""
    code = ord(char)
    if code >= _RANGES[0][0]:
        for first, last, kind in _RANGES:
            if first <= code <= last:
                return kind
    return Kind.LETTER if char.isalnum() else Kind.OPEN


def inside_word(text: str, at: int) -> Kind | None:
    """The kind of the word that a cut before code point `at` goes through; None where it cuts no word."""
    if not 0 < at < len(text):
        return None
    base = at - 1
    while cuts_segment(text, base):
        base -= 1
    kind = kind_of(text[base])
    goes_on = cuts_segment(text, at) or kind_of(text[at]) is kind
    return kind if goes_on and kind is not Kind.OPEN else None


def word_around(text: str, at: int) -> Span:
    """The word that a cut before code point `at` goes through, empty where it cuts none."""
    start = end = at
    while inside_word(text, start):
        start -= 1
    while inside_word(text, end):
        end += 1
    return Span(start, end)


def words_of(text: str) -> list[Span]:
    """The words of the text from the left; characters without visible word bounds are left out."""
    words: list[Span] = []
    start: int | None = None
    for at in range(len(text) + 1):
        if inside_word(text, at):
            continue
        if start is not None:
            words.append(Span(start, at))
        start = at if at < len(text) and kind_of(text[at]) is not Kind.OPEN else None
    return words


def only_particles(rest: str) -> bool:
    """Whether the rest of a Hangul word is nothing, or what Korean puts behind a noun."""
    return _PARTICLES.fullmatch(rest) is not None


def likeness(wanted: str, found: str) -> tuple[float, int]:
    """How surely `found` is a form of the word `wanted`, in [0, 1], and how many of its characters are the name.

    Both are folded and not empty. 0.0: another word. Of a Korean word the particles do not belong to the name.
    """
    if wanted == found:
        return 1.0, len(found)
    if any(char.isdigit() for char in wanted + found):
        return 0.0, 0
    shared = _common_beginning(wanted, found)
    longer = max(len(wanted), len(found))
    if kind_of(found[0]) is Kind.HANGUL:
        name = _SURE_PARTICLE.sub("", found[:shared])
        is_form = only_particles(wanted[shared:]) and only_particles(found[shared:])
        return (shared / longer, len(name)) if is_form and len(name) >= _LEAST_SYLLABLES else (0.0, 0)
    if _has_proclitic(wanted, found):
        return _PROCLITIC_LIKENESS, len(found)
    enough = shared >= _LEAST_PREFIX and shared >= SHARED_PREFIX * longer
    return (shared / longer, len(found)) if enough else (0.0, 0)


def _common_beginning(one: str, other: str) -> int:
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared += 1
    return shared


def _has_proclitic(wanted: str, found: str) -> bool:
    """Whether `found` is `wanted`, with or without its article, behind a conjunction, preposition or article."""
    for stem in (wanted, wanted.removeprefix("ال")):
        before = found.removesuffix(stem)
        if len(stem) >= _LEAST_PREFIX and before != found and _PROCLITICS.fullmatch(before):
            return True
    return False
