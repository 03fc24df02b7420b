"""What the CRF sees of each word: its letters, its neighbours, and the run of capitalised words it stands in.

A model goes with the features it was trained on: whoever changes a line here trains the shipped model anew. Features
are strings; a name before = says what kind, w word, s shape, p prefix, e ending, r the run. No list of names is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

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


# Words that tell what kind of name is beside or inside them: titles, kinds of bodies and places, dates, peoples.
# Common words of English, no names: a short closed list each.
_PERSON = """
mr mr. mrs mrs. ms ms. miss madam dr dr. prof prof. professor sir lord lady president premier vice deputy former late
minister king queen prince princess emperor pope saint st. captain general gen. colonel col. lieutenant major admiral
marshal sergeant private pilot senator sen. governor gov. judge chancellor sultan sheikh baron director producer actor
actress singer rapper musician guitarist composer author writer novelist poet painter journalist historian philosopher
scientist mathematician physicist architect lawyer player footballer striker goalkeeper midfielder defender coach
manager champion politician activist leader bishop archbishop duke count mayor ambassador secretary spokesman
spokeswoman chairman ceo founder businessman brother sister father mother son daughter wife husband uncle aunt
grandfather
"""
_BODY = """
university college school institute academy faculty laboratory observatory company corporation corp corp. inc inc. ltd
ltd. co co. plc llc gmbh ag holding holdings partners group bank fund trust charity insurance ministry department
agency administration authority bureau office secretariat treasury committee commission council party union alliance
coalition front movement brotherhood league club fc association society foundation organization organisation
federation nations congress assembly parliament senate government court embassy police army navy force forces staff
command brigade division regiment squadron fleet battalion militia intelligence security defense defence education
health agriculture finance justice interior museum library theatre theater centre center cathedral hospital church
team band orchestra records entertainment studios pictures films productions publishing publishers books airlines
motors industries technologies software systems services foods electric electronics oil gas energy exchange stock
shares stocks times post news press daily weekly herald tribune gazette journal magazine newspaper television network
channel radio board conference championship united
"""
_PLACE = """
river lake mount mountain mountains volcano sea ocean island islands archipelago continent bay gulf peninsula delta
desert valley plateau plain waterfall falls cape beach hill hills forest canal strait coast harbor harbour port street
streets road avenue lane drive boulevard highway freeway square plaza park bridge tower castle palace fort dam airport
station capital city town village suburb neighborhood neighbourhood borough commune canton county district province
prefecture oblast governorate municipality state region republic kingdom border north south east west northern
southern eastern western central resident residents population located situated lies inhabitants visited
"""
_DATE = """
january february march april may june july august september october november december monday tuesday wednesday
thursday friday saturday sunday jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun
"""
_PEOPLE = """
american americans british english french german italian spanish russian russians chinese japanese korean indian
pakistani turkish greek dutch swedish norwegian danish finnish polish ukrainian hungarian czech romanian bulgarian
serbian croatian portuguese brazilian mexican canadian australian iranian persian iraqi israeli palestinian egyptian
syrian lebanese saudi arab arabs arabic afghan kurdish african asian european latin irish scottish welsh austrian
swiss belgian vietnamese thai indonesian filipino malaysian mongolian tamil hebrew cuban argentine colombian armenian
georgian jewish jews muslim muslims islamic christian christians catholic protestant buddhist hindu soviet roman
ottoman byzantine nazi communist democratic republican
"""
_GROUPS = {
    letter: frozenset(text.split())
    for letter, text in {"P": _PERSON, "B": _BODY, "L": _PLACE, "D": _DATE, "N": _PEOPLE}.items()
}


@lru_cache(100_000)
def clues_of(word: str) -> tuple[str, ...]:
    """Which of P (person), B (body), L (place), D (date), N (people or faith) a word in small letters tells, if any."""
    return tuple(letter for letter, words in _GROUPS.items() if word in words)
