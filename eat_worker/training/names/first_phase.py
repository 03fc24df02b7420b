"""The first phase: what names are and how they are listed, in English; and copying the words of an English name.

English sentences with gold, as they are, and with names of other languages in the places of their own, which shows that
a name is a name in any script; plain sentences of our own; EACL pairs. Every draw comes from the generator given.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from eat_worker.metrics.f1 import Entity
from eat_worker.training.eacl.chats import Conversation
from eat_worker.training.eacl.pairs import EaclPair
from eat_worker.training.name_substitution import made_sentences
from eat_worker.training.names.chats import names_chat, words_chat
from eat_worker.training.names.sources import Sources
from eat_worker.training.tagged import Tagged

# Characters; the same sentence takes fewer of them in these scripts, and as many tokens.
DENSE = frozenset(("ja", "zh", "ko", "ka"))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many chats of each kind: English sentences with names, without, with names of other languages in them, of our
    own; `copied` pairs of each language.
    """

    named: int
    unnamed: int
    switched: int
    made: int
    copied: int


def first_chats(sources: Sources, counts: Counts, draw: random.Random) -> list[Conversation]:
    """The chats in the order they are drawn in."""
    named = [one for one in sources.english if one.entities and 24 <= len(one.text) <= 200]
    unnamed = [one for one in sources.english if not one.entities and 30 <= len(one.text) <= 140]
    draw.shuffle(unnamed)
    draw.shuffle(named)
    chats = [names_chat(one, "en") for one in (*named[: counts.named], *unnamed[: counts.unnamed])]
    chats += [names_chat(one, "en") for one in _switched(named[max(0, len(named) - counts.switched) :], sources, draw)]
    chats += [names_chat(one, "en") for one in _made(counts.made, sources, draw)]
    chats += [words_chat(pair) for pair in _copied(counts.copied, sources, draw)]
    draw.shuffle(chats)
    return chats


def _switched(sentences: list[Tagged], sources: Sources, draw: random.Random) -> Iterator[Tagged]:
    """The sentences with names of one other language each."""
    names = list(sources.names.values())
    for number, sentence in enumerate(sentences):
        text, entities, done = "", list[Entity](), 0
        for start, end, tag in sorted(sentence.entities):
            other = draw.choice(names[number % len(names)][tag])
            text += sentence.text[done:start]
            entities.append((len(text), len(text) + len(other), tag))
            text, done = text + other, end
        yield Tagged(text + sentence.text[done:], tuple(entities))


def _made(count: int, sources: Sources, draw: random.Random) -> Iterator[Tagged]:
    """Sentences of our own, by turns with names of another language and with English ones."""
    names, english = list(sources.names.values()), sources.english_names
    for number in range(count):
        others = {**names[number // 2 % len(names)], "MISC": english["MISC"]}
        yield from made_sentences(1, english if number % 2 else others, draw)


def _copied(count: int, sources: Sources, draw: random.Random) -> Iterator[EaclPair]:
    """Pairs of every language. In most of the corpus the name begins the sentence: two of three here do not, so that
    copying the first words is not what is learnt.
    """
    for lang, pairs in sources.pairs.items():
        longest = 60 if lang in DENSE else 110
        usable = [pair for pair in pairs if len(pair.text) <= longest and pair.title != pair.english]
        within = [pair for pair in usable if not pair.text.startswith(pair.title)]
        first = [pair for pair in usable if pair.text.startswith(pair.title)]
        draw.shuffle(within)
        draw.shuffle(first)
        many = count * 2 // 3
        yield from within[:many]
        yield from first[: count - many]
