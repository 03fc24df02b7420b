"""What every extractor is: something that finds the entities of English texts, many at a time, and says what it is.

The extractor `chat` is not here: it is a stage of the method, asked through the chat engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from eat_worker.method.document import EnglishEntity, Span


@dataclass(frozen=True, slots=True)
class ExtractorInfo:
    """What extracts: kind, name of the model, SHA-256 (hex) of its file or folder, and texts per batch."""

    kind: str
    model: str
    sha256: str
    batch: int


class Extractor(Protocol):
    """One loaded extractor. All methods may be called from many threads."""

    @property
    def info(self) -> ExtractorInfo:
        """What this extractor is."""
        ...

    def extract(self, texts: Sequence[str]) -> list[tuple[EnglishEntity, ...]]:
        """The entities of each text, numbered from 0; one without a place in its text says why (`unusable`)."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


MENTIONS = 3
"""How often the same words may be named in one text: a translation caught in a loop says a name dozens of times, and
each mention would be aligned. Measured on stored translations, see docs/benchmarks.md."""


def numbered(text: str, entities: Iterable[tuple[int, int, str]]) -> tuple[EnglishEntity, ...]:
    """English entities of (start, end, tag) over the code points of `text`, numbered in the order of the text.

    Of the same words the first MENTIONS count.
    """
    mentions: Counter[str] = Counter()
    kept: list[EnglishEntity] = []
    for start, end, tag in sorted(entities):
        words = text[start:end]
        mentions[words] += 1
        if mentions[words] <= MENTIONS:
            kept.append(EnglishEntity(len(kept), words, tag, Span(start, end)))
    return tuple(kept)


def render_entities(entities: Iterable[EnglishEntity]) -> str:
    """The paper's text format, `(TYPE, words) (TYPE, words)`, or `none`: what the audit record shows as the answer."""
    return " ".join(f"({entity.tag}, {entity.mention})" for entity in entities) or "none"
