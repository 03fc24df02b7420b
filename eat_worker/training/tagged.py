"""English sentences with gold entities, and how well an extractor finds those: what training reads and measures.

Knows corpora through `read_documents`; knows no kind of extractor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eat_worker.corpora.reading import read_documents
from eat_worker.corpora.records import Rejected
from eat_worker.engines.extractors.extractor import Extractor
from eat_worker.errors import CorpusError
from eat_worker.metrics.f1 import Counts, Entity, micro, pooled, precision_recall_f1, span_counts, token_strict


@dataclass(frozen=True, slots=True)
class Tagged:
    """An English sentence and its entities over code points."""

    text: str
    entities: tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The sentences of one file; `sha256` (hex) is that of the file, `rejected` counts records that were refused."""

    name: str
    sha256: str
    sentences: tuple[Tagged, ...]
    rejected: int

    def described(self) -> dict[str, Any]:
        """What a card says of it."""
        entities = sum(len(sentence.entities) for sentence in self.sentences)
        counts = {"sentences": len(self.sentences), "entities": entities, "rejected": self.rejected}
        return {"file": self.name, "sha256": self.sha256, **counts}


def read_tagged(path: Path) -> Corpus:
    """The sentences of a BIO file in any layout, or of JSON Lines with entities.

    Raises CorpusError when the file cannot be read, or holds no sentence with gold.
    """
    sentences: list[Tagged] = []
    rejected = 0
    for record in read_documents(path, lang="en"):
        if isinstance(record, Rejected):
            rejected += 1
        elif record.gold is not None:
            entities = tuple((gold.start, gold.end, gold.tag) for gold in record.gold)
            sentences.append(Tagged(record.text, entities))
    if not sentences:
        raise CorpusError(f"{path} holds no sentence with gold entities; extractors learn from BIO files")
    return Corpus(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), tuple(sentences), rejected)


def score_extractor(extractor: Extractor, sentences: Sequence[Tagged]) -> dict[str, dict[str, float]]:
    """{"token_strict": {"precision", "recall", "f1"}, "span": {...}} in percent, micro over all sentences."""
    tokens: list[dict[str, Counts]] = []
    spans: list[dict[str, Counts]] = []
    found = extractor.extract([sentence.text for sentence in sentences])
    for sentence, entities in zip(sentences, found, strict=True):
        predicted = [(entity.span.start, entity.span.end, entity.tag) for entity in entities if entity.span]
        tokens.append(token_strict(sentence.text, "en", sentence.entities, predicted))
        spans.append(span_counts(sentence.entities, predicted))
    return {"token_strict": _percent(tokens), "span": _percent(spans)}


def _percent(sentences: Sequence[dict[str, Counts]]) -> dict[str, float]:
    values = precision_recall_f1(*micro(pooled(sentences)))
    return {name: round(100 * value, 2) for name, value in zip(("precision", "recall", "f1"), values, strict=True)}
