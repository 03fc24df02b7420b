"""The second phase: texts in other languages, without a label that anybody wrote for them.

After the first phase a model lists too many names in other languages, and misses others. Three sources say something
about a sentence without labelling it: translated news whose English has no capitalised word name nobody (`none`); an
EACL sentence begins with its title, which has a type; and where every name of the English is an EACL name, whose words
are in the translation, all names of the translation are known. Every draw comes from the generator given.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from eat_worker.metrics.f1 import Entity
from eat_worker.training.eacl.chats import Conversation
from eat_worker.training.names.chats import names_chat
from eat_worker.training.names.first_phase import DENSE, Counts, first_chats
from eat_worker.training.names.sources import Sources
from eat_worker.training.tagged import Tagged

_WORD = re.compile(r"[A-Za-z][A-Za-z'’.-]*")
_CAPITALISED = re.compile(r"[A-Z][\w'’.-]*(?: (?:of |the )?[A-Z][\w'’.-]*)*")
_OF_SPEAKERS = frozenset(("I", "I'm", "I'll", "I've", "I’m", "I’ve"))
_SHORT_OF = frozenset(("I", "I'm", "I’m"))
# A character of these scripts takes several tokens: fewer of their sentences fit into the same time.
_LONG_SCRIPTS = frozenset(("hi", "hy"))
_SHORT_NEWS = DENSE - {"ka"}  # few Georgian news sentences are as short


@dataclass(frozen=True, slots=True)
class SecondCounts:
    """How many chats of each language: sentences without names, of long scripts; titles; sentences whose names are all
    known. `again` is of the first phase, so that it is not forgotten; `again_seed` decides its draws.
    """

    without: int
    without_long: int
    titles: int
    known: int
    again: Counts
    again_seed: int


def second_chats(sources: Sources, counts: SecondCounts, draw: random.Random) -> list[Conversation]:
    """The chats kind by kind; who trains on them shuffles them."""
    chats = [names_chat(Tagged(text, ()), lang) for lang, text in _without_names(sources, counts, draw)]
    chats += [names_chat(one, lang, whole=False) for lang, one in _titles(sources, counts.titles, draw)]
    chats += [names_chat(one, lang) for lang, one in _known(sources, counts.known, draw)]
    return chats + first_chats(sources, counts.again, random.Random(counts.again_seed))


def _without_names(sources: Sources, counts: SecondCounts, draw: random.Random) -> Iterator[tuple[str, str]]:
    """News sentences whose English names nobody."""
    lower = sources.lower_words
    for lang in sources.news:
        if lang == "en":
            continue
        texts = [
            text
            for english, text in sources.translated(lang)
            if _names_nobody(english, lower) and 25 <= len(english) <= 110
        ]
        draw.shuffle(texts)
        for text in texts[: counts.without_long if lang in _LONG_SCRIPTS else counts.without]:
            yield lang, text


def _names_nobody(english: str, lower: frozenset[str]) -> bool:
    """Whether only the first word has a capital, and that one is written small elsewhere."""
    words = _WORD.findall(english)
    if not words or words[0].lower() not in lower:
        return False
    return all(word == word.lower() or word in _OF_SPEAKERS for word in words[1:])


def _titles(sources: Sources, count: int, draw: random.Random) -> Iterator[tuple[str, Tagged]]:
    """EACL sentences with their first name only: others may follow."""
    for lang, pairs in sources.pairs.items():
        longest = 55 if lang in DENSE else 100
        usable = [
            pair
            for pair in pairs
            if sources.types.get(pair.english) in ("PER", "LOC")
            and pair.text.startswith(pair.title)
            and len(pair.text) <= longest
            and 1 < len(pair.title) < 30
        ]
        draw.shuffle(usable)
        for pair in usable[:count]:
            yield lang, Tagged(pair.text, ((0, len(pair.title), sources.types[pair.english]),))


def _known(sources: Sources, count: int, draw: random.Random) -> Iterator[tuple[str, Tagged]]:
    """News sentences of which every name is known."""
    lower = sources.lower_words
    types = {name.casefold(): tag for name, tag in sources.types.items()}
    for lang, pairs in sources.pairs.items():
        if lang not in sources.news:
            continue
        titles: dict[str, str] = {}
        for pair in pairs:
            titles.setdefault(pair.english.casefold(), pair.title)
        longest = 70 if lang in _SHORT_NEWS else 130
        found = []
        for english, text in sources.translated(lang):
            entities = _projected(list(_named(english, lower)), text, types, titles)
            if entities and 25 <= len(text) <= longest:
                found.append(Tagged(text, entities))
        draw.shuffle(found)
        for sentence in found[:count]:
            yield lang, sentence


def _named(english: str, lower: frozenset[str]) -> Iterator[str]:
    """The runs of capitalised words, without a first word that has its capital from the sentence."""
    for run in _CAPITALISED.finditer(english):
        words = run.group().rstrip(".'’")
        if words in _SHORT_OF:
            continue
        if run.start() == 0 or english[: run.start()].strip() in ('"', "“"):
            first, _, rest = words.partition(" ")
            words = rest if first.lower() in lower else words
        if words:
            yield words


def _projected(names: list[str], text: str, types: Mapping[str, str], titles: Mapping[str, str]) -> tuple[Entity, ...]:
    """The places of the names in the translation; nothing unless each has one, and none overlap."""
    entities: set[Entity] = set()
    for name in names:
        tag, title = types.get(name.casefold()), titles.get(name.casefold())
        if tag == "MISC":
            continue
        start = text.find(title) if tag and title else -1
        if not tag or not title or start < 0:
            return ()
        entities.add((start, start + len(title), tag))
    ordered = sorted(entities)
    apart = all(one[1] <= other[0] for one, other in itertools.pairwise(ordered))
    return tuple(ordered) if apart else ()
