"""More sentences from few: the same sentences with other names, and plain sentences of our own with names in them.

A CRF knows a name by its letters. Few thousand sentences show few names, so it is shown the sentences again with names
drawn from a list. Every draw comes from the generator given: the same seed, the same sentences.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from eat_worker.errors import CorpusError
from eat_worker.method.document import TAGS
from eat_worker.metrics.f1 import Entity
from eat_worker.training.tagged import Tagged

Names = Mapping[str, Sequence[str]]
"""Names by tag; MISC are names of other things, which are no entities here."""

_SLOT = re.compile(r"\{([A-Z]+)\}")
_KEPT = 0.2  # share of mentions that keep their own name
_FAMILY = 0.6  # share of one-word mentions of people that are family names, the last word
_MIXED = 0.35  # share of full names put together of one person's given name and another's family name


def read_names(path: Path) -> Names:
    """Names from lines `name<TAB>tag`, those that look like names in running text.

    Names in capitals throughout are written in capitals and small letters; what holds a bracket or begins with a small
    letter or a figure is left out. Raises CorpusError when the file cannot be read or a tag has no name.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read as names: {error}") from error
    names: dict[str, list[str]] = {tag: [] for tag in (*TAGS, "MISC")}
    for number, line in enumerate(lines, start=1):
        name, tab, tag = line.partition("\t")
        if not tab or tag not in names:
            raise CorpusError(f"{path}:{number}: expected name<TAB>PER, LOC, ORG or MISC: {line[:60]!r}")
        name = name.title() if name.isupper() and len(name) > 4 else name
        if name[:1].isupper() and "(" not in name:
            names[tag].append(name)
    missing = [tag for tag, known in names.items() if not known]
    if missing:
        raise CorpusError(f"{path} holds no usable name of {', '.join(missing)}")
    return names


def renamed(sentence: Tagged, names: Names, draw: random.Random) -> Tagged:
    """The sentence with most of its entities under other names of the same tag, in the letter case of the old ones."""
    text, entities, done = "", list[Entity](), 0
    for start, end, tag in sorted(sentence.entities):
        own = sentence.text[start:end]
        other = own if draw.random() < _KEPT else _cased(own, _drawn(names, tag, draw, whole=len(own.split()) > 1))
        text += sentence.text[done:start]
        entities.append((len(text), len(text) + len(other), tag))
        text, done = text + other, end
    return Tagged(text + sentence.text[done:], tuple(entities))


def made_sentences(count: int, names: Names, draw: random.Random) -> Iterator[Tagged]:
    """Sentences of our own, as encyclopaedias and newspapers write them, filled with names."""
    patterns = files("eat_worker.training").joinpath("sentence_patterns.txt").read_text(encoding="utf-8").splitlines()
    for _ in range(count):
        yield _filled(draw.choice(patterns), names, draw)


def _filled(pattern: str, names: Names, draw: random.Random) -> Tagged:
    text, entities, done = "", list[Entity](), 0
    for slot in _SLOT.finditer(pattern):
        kind = slot[1]
        text += pattern[done : slot.start()]
        if kind == "YEAR":
            words = str(draw.randint(1700, 2024))
        elif kind == "NUMBER":
            words = str(draw.randint(2, 900))
        else:
            tag = "PER" if kind == "NAME" else kind
            words = _drawn(names, tag, draw, whole=kind != "NAME")
            if tag in TAGS:
                entities.append((len(text), len(text) + len(words), tag))
        text, done = text + words, slot.end()
    return Tagged(text + pattern[done:], tuple(entities))


def _drawn(names: Names, tag: str, draw: random.Random, *, whole: bool) -> str:
    """A name; of a person not named in full, the family name or the given name."""
    name = draw.choice(names[tag])
    if tag != "PER":
        return name
    if not whole:
        return name.split()[-1 if draw.random() < _FAMILY else 0]
    if draw.random() < _MIXED:
        return f"{name.split()[0]} {draw.choice(names[tag]).split()[-1]}"
    return name


def _cased(own: str, other: str) -> str:
    if own.islower():
        return other.lower()
    return other.upper() if own.isupper() and len(own) > 4 else other
