"""What the adapter learns from: English sentences with gold, EACL pairs with types, and translated news.

Knows files; knows no prompt and no model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eat_worker.errors import CorpusError
from eat_worker.method.document import TAGS
from eat_worker.training.eacl.pairs import EaclPair, read_pairs
from eat_worker.training.name_substitution import Names, read_names
from eat_worker.training.tagged import Tagged, read_tagged

_TYPES = "entity_types.tsv"
_FILES = "??.jsonl"  # one file per language, named by it
_WORD = re.compile(r"\b[a-z']+\b")


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything the chats are made of.

    `pairs` are those of each language, sorted by it, whose title occurs in their sentence; `types` the tag (or MISC) of
    English names; `news` the sentences of each document by language and document.
    """

    english: Sequence[Tagged]
    pairs: Mapping[str, Sequence[EaclPair]]
    types: Mapping[str, str]
    english_names: Names
    news: Mapping[str, Sequence[tuple[str, Sequence[str]]]]
    #: SHA-256 (hex) of every file, by its name.
    digests: Mapping[str, str]

    @property
    def names(self) -> dict[str, dict[str, list[str]]]:
        """Names of at most 30 characters by language and tag, for the languages that have all three tags."""
        found: dict[str, dict[str, set[str]]] = {}
        for lang, pairs in self.pairs.items():
            for pair in pairs:
                tag = self.types.get(pair.english)
                if tag in TAGS and 1 < len(pair.title) <= 30 and "(" not in pair.title:
                    found.setdefault(lang, {}).setdefault(tag, set()).add(pair.title)
        return {
            lang: {tag: sorted(names) for tag, names in by_tag.items()}
            for lang, by_tag in found.items()
            if len(by_tag) == len(TAGS)
        }

    @property
    def lower_words(self) -> frozenset[str]:
        """Every word that the English news write in small letters somewhere: no name, even at a sentence's start."""
        return frozenset(
            word for _, document in self.news["en"] for sentence in document for word in _WORD.findall(sentence)
        )

    def translated(self, lang: str) -> Iterator[tuple[str, str]]:
        """Sentences of the news with their English, from documents that have as many of both."""
        english = dict(self.news["en"])
        for document, sentences in self.news.get(lang, ()):
            originals = english.get(document, ())
            if len(originals) == len(sentences):
                yield from zip(originals, sentences, strict=True)


def read_sources(english: Sequence[Path], eacl: Path, news: Path) -> Sources:
    """`english`: BIO files. `eacl`: a folder with pairs per language and `entity_types.tsv`. `news`: a folder with
    documents per language, lines of `id` and `sentences`, among them `en.jsonl`.

    Raises CorpusError when one of them is missing or does not parse.
    """
    types, pairs = eacl / _TYPES, sorted(eacl.glob(_FILES))
    documents = sorted(news.glob(_FILES))
    if not pairs:
        raise CorpusError(f"{eacl} holds no pairs; they are files such as ko.jsonl")
    if "en.jsonl" not in {path.name for path in documents}:
        raise CorpusError(f"{news} holds no en.jsonl, the English side of the news")
    names = read_names(types)
    files = {f"english/{path.name}": path for path in english}
    files |= {f"eacl/{path.name}": path for path in (types, *pairs)} | {f"news/{path.name}": path for path in documents}
    sentences = [one for path in english for one in read_tagged(path).sentences if "\n" not in one.text]
    return Sources(
        english=sentences,
        pairs={path.stem: _with_title(path) for path in pairs},
        types=_types(types),
        english_names=names,
        news={path.stem: _documents(path) for path in documents},
        digests={name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()},
    )


def _with_title(path: Path) -> list[EaclPair]:
    return [pair for pair in read_pairs(path) if pair.title in pair.text]


def _types(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").split("\n")  # read_names has refused what has no tab
    return {name: tag for name, tab, tag in (line.partition("\t") for line in lines) if tab}


def _documents(path: Path) -> list[tuple[str, Sequence[str]]]:
    found: list[tuple[str, Sequence[str]]] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            record: dict[str, Any] = orjson.loads(line)
            found.append((record["id"], record["sentences"]))
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise CorpusError(f"{path}:{number}: is no document with id and sentences: {error!r}") from None
    return found
