"""What the CRF sees of each word: its letters, its neighbours, and the run of capitalised words it stands in.

A model goes with the features it was trained on: whoever changes a line here trains the shipped model anew. Features
are strings; a name before = says what kind, w word, s shape, p prefix, e ending, r the run. No list of names is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from eat_worker.engines.extractors.crf_clues import clues_of
from eat_worker.engines.extractors.words import Word

_AFFIX = 4  # longest prefix and ending, in letters
_NOTHING = "~"  # beyond the ends of the sentence
_OPENS_SENTENCE = frozenset('.?!:"“')


def features_of(words: Sequence[Word]) -> list[list[str]]:
    """The features of each word of a sentence, in order."""
    sentence = _Sentence(words)
    return [list(sentence.features(place)) for place in range(len(words))]


class _Sentence:
    """The words of a sentence, with what is worked out once for all of them."""

    def __init__(self, words: Sequence[Word]) -> None:
        self._words = words
        self._written = [word.text for word in words]
        self._lower = [text.lower() for text in self._written]
        self._style = _style(self._written)
        self._small = frozenset(text for text in self._written if text.islower())
        self._runs = _runs(self._written)

    def features(self, place: int) -> Iterator[str]:
        """The features of one word."""
        yield from own_features(self._written[place])
        yield from self._position(place)
        yield from self._neighbours(place)
        if run := self._runs[place]:
            yield from self._run(place, *run)

    def _position(self, place: int) -> Iterator[str]:
        yield f"style={self._style}"
        if self._words[place].glued:
            yield "glued"
        opens = place == 0 or self._written[place - 1] in _OPENS_SENTENCE
        if opens:
            yield "opens"
        if self._written[place][0].isupper():
            yield f"cap|{self._style}|{opens:d}"
            if self._lower[place] in self._small:
                yield "also small"

    def _neighbours(self, place: int) -> Iterator[str]:
        for step in (-2, -1, 1, 2):
            yield f"w{step}={self._at(place + step)}"
            if 0 <= place + step < len(self._words):
                yield f"s{step}={shape_of(self._written[place + step])}"
                for clue in clues_of(self._lower[place + step]):
                    yield f"clue{step}={clue}"
        before, word, after = (self._at(place + step) for step in (-1, 0, 1))
        yield f"e-1={before[-3:]}"
        yield f"e1={after[-3:]}"
        yield f"w-1w={before}|{word}"
        yield f"ww1={word}|{after}"
        yield f"w-1w1={before}|{after}"
        shapes = (self._shape_at(place + step) for step in (-1, 0, 1))
        yield f"s-1ss1={'|'.join(shapes)}"

    def _run(self, place: int, first: int, last: int) -> Iterator[str]:
        """What the run of capitalised words [first, last) is and stands in: all its words see the same."""
        before, after = self._at(first - 1), self._at(last)
        yield f"rlen={min(last - first, 5)}"
        yield f"rfrom={min(place - first, 3)}"
        yield f"rto={min(last - 1 - place, 3)}"
        yield f"rb={before}"
        yield f"ra={after}"
        yield f"rba={before}|{after}"
        yield f"rbb={self._at(first - 2)}|{before}"
        yield f"raa={after}|{self._at(last + 1)}"
        yield f"rfirst={self._lower[first]}"
        yield f"rlast={self._lower[last - 1]}"
        yield f"rlast3={self._lower[last - 1][-3:]}"
        for inside in range(first, last):
            for clue in clues_of(self._lower[inside]):
                yield f"rclue={clue}"
        for name, beside in (("rbclue", before), ("raclue", after)):
            for clue in clues_of(beside):
                yield f"{name}={clue}"
        if first == 0:
            yield "ropens"
        if last >= len(self._words) - 1:
            yield "rends"

    def _at(self, place: int) -> str:
        return self._lower[place] if 0 <= place < len(self._lower) else _NOTHING

    def _shape_at(self, place: int) -> str:
        return shape_of(self._written[place]) if 0 <= place < len(self._written) else _NOTHING


@lru_cache(100_000)
def own_features(text: str) -> tuple[str, ...]:
    """What a word tells by itself."""
    lower = text.lower()
    found = [f"w={lower}", f"s={shape_of(text)}"]
    for size in range(1, min(_AFFIX, len(lower) - 1) + 1):
        found += [f"p={lower[:size]}", f"e={lower[-size:]}"]
    if text[0].isupper():
        found += ["cap", f"W={text}", f"caplen={min(len(text), 8)}"]
        if len(text) > 1 and text.isupper():
            found.append("upper")
    if not any(char.isalnum() for char in text):
        found.append("mark")
    if any(char.isdigit() for char in text):
        found.append("digit")
    return (*found, *(f"clue={clue}" for clue in clues_of(lower)))


@lru_cache(100_000)
def shape_of(text: str) -> str:
    """The kinds of characters, runs of one kind shortened: `McDonald` is XxXx+, `U.S.` is X.X., `2014` is d+."""
    kinds = "".join(
        "X" if char.isupper() else "x" if char.islower() else "d" if char.isdigit() else "l" if char.isalpha() else char
        for char in text
    )
    return re.sub(r"(.)\1+", r"\1+", kinds)


def _style(written: Sequence[str]) -> str:
    """How the sentence uses capitals: a headline's capitals tell less than those of running text."""
    lettered = [text for text in written if text[0].isalpha()]
    if not lettered:
        return "none"
    if len(lettered) > 2 and sum(len(text) > 1 and text.isupper() for text in lettered) >= 0.6 * len(lettered):
        return "upper"
    capitals = sum(text[0].isupper() for text in lettered)
    if len(lettered) > 3 and capitals >= 0.7 * len(lettered):
        return "title"
    return "mixed" if capitals else "small"


def _runs(written: Sequence[str]) -> list[tuple[int, int] | None]:
    """For each word the run [first, last) of capitalised words it belongs to; a hyphen between two joins them."""
    runs: list[tuple[int, int] | None] = [None] * len(written)
    first = 0
    while first < len(written):
        last = first
        while last < len(written) and written[last][0].isupper():
            hyphen = last + 2 < len(written) and written[last + 1] == "-" and written[last + 2][0].isupper()
            last += 2 if hyphen else 1
        runs[first:last] = [(first, last)] * (last - first)
        first = max(last, first + 1)
    return runs
