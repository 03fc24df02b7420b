"""The phases after the first: texts in other languages, without a label that anybody wrote for them.

After the first phase a model lists too many names in other languages, and misses others. Four sources say something
about a sentence without labelling it: translated news whose English has no capitalised word name nobody (`none`); an
EACL sentence begins with its title, which has a type; later it may name places that are titles of other pages; and
where every name of the English is an EACL name, whose words are in the translation, all names of the translation are
known. English sentences keep what was learnt before. Every draw comes from the generator given.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eat_worker.method.constraint import places_of, units_of
from eat_worker.method.document import TAGS
from eat_worker.method.languages import language
from eat_worker.metrics.f1 import Entity
from eat_worker.training.eacl.chats import Conversation
from eat_worker.training.eacl.pairs import EaclPair
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
# Georgian is drawn and not used: the corpus that measures it is made of these sentences.
_LEFT_OUT = "ka"
_LONGEST_SEVERAL = 220  # characters


@dataclass(frozen=True, slots=True)
class LaterCounts:
    """How many chats of each kind and language: `places`, titles with places that come later; sentences without names,
    of long scripts; titles alone; sentences whose names are all known. `several` is of English sentences with more than
    one name. `again` is of the first phase, so that it is not forgotten; `again_seed` decides its draws.
    """

    without: int
    without_long: int
    known: int
    again: Counts
    again_seed: int
    titles: int = 0
    places: int = 0
    several: int = 0


def later_chats(sources: Sources, counts: LaterCounts, draw: random.Random) -> list[Conversation]:
    """The chats kind by kind; who trains on them shuffles them. A kind of which none is wanted draws nothing."""
    chats: list[Conversation] = []
    if counts.places:
        chats += [names_chat(one, lang, upto="tag") for lang, one in _places(sources, counts.places, draw)]
    chats += [names_chat(Tagged(text, ()), lang) for lang, text in _without_names(sources, counts, draw)]
    if counts.titles:
        chats += [names_chat(one, lang, upto="bracket") for lang, one in _titles(sources, counts.titles, draw)]
    chats += [names_chat(one, lang) for lang, one in _known(sources, counts.known, draw)]
    if counts.several:
        chats += [names_chat(one, "en") for one in _several(sources, counts.several, draw)]
    return chats + first_chats(sources, counts.again, random.Random(counts.again_seed))


def _several(sources: Sources, count: int, draw: random.Random) -> list[Tagged]:
    """English sentences whose answer goes on after its first line."""
    found = [one for one in sources.english if len(one.entities) > 1 and len(one.text) <= _LONGEST_SEVERAL]
    draw.shuffle(found)
    return found[:count]


def _places(sources: Sources, count: int, draw: random.Random) -> Iterator[tuple[str, Tagged]]:
    """EACL sentences with their title and the known places after it: a list that goes on. More names may follow."""
    for lang, pairs in sources.pairs.items():
        tags = {
            pair.title: sources.types[pair.english]
            for pair in pairs
            if sources.types.get(pair.english) in TAGS and len(pair.title) > 1 and "(" not in pair.title
        }
        places = [title for title, tag in tags.items() if tag == "LOC"]
        longest = 75 if lang in DENSE else 150
        usable = [
            pair
            for pair in pairs
            if tags.get(pair.title) in ("PER", "LOC")
            and pair.text.startswith(pair.title)
            and len(pair.text) <= longest
            and "\n" not in pair.text
        ]
        found = [
            tagged for pair in usable if len((tagged := _with_places(pair, tags[pair.title], places)).entities) > 1
        ]
        draw.shuffle(found)
        if lang != _LEFT_OUT:
            for tagged in found[:count]:
                yield lang, tagged


def _with_places(pair: EaclPair, tag: str, places: Sequence[str]) -> Tagged:
    """The title of a sentence, and those places after it that are whole words; of two that overlap the longer first."""
    units = units_of(pair.text, characters=language(pair.lang).by_characters)
    found: list[Entity] = [(0, len(pair.title), tag)]
    for place in places:
        if place != pair.title and place in pair.text:
            spans = places_of(place, units)
            found += [(span.start, span.end, "LOC") for span in spans if span.start >= len(pair.title)]
    kept: list[Entity] = []
    for entity in sorted(found, key=lambda one: (one[0], -one[1])):
        if not kept or entity[0] >= kept[-1][1]:
            kept.append(entity)
    return Tagged(pair.text, tuple(kept))


def _without_names(sources: Sources, counts: LaterCounts, draw: random.Random) -> Iterator[tuple[str, str]]:
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
