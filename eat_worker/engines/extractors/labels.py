"""Entities <-> one label per word: O, B-PER, I-PER ... as every sequence labeller here learns and says them.

Knows words and spans; knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from eat_worker.engines.extractors.words import Word
from eat_worker.metrics.f1 import Entity, bio_spans

NAMES: Mapping[str, str] = MappingProxyType(
    {"PER": "PER", "LOC": "LOC", "ORG": "ORG", "PERSON": "PER", "LOCATION": "LOC", "GPE": "LOC", "ORGANIZATION": "ORG"}
)
"""What the types of foreign checkpoints are here; any other type is O."""


def labels_of(words: Sequence[Word], entities: Iterable[Entity]) -> list[str]:
    """The label of each word; a word belongs to an entity that covers part of it, the first one where several do."""
    labels = ["O"] * len(words)
    for start, end, tag in sorted(entities):
        prefix = "B"
        for place, word in enumerate(words):
            if word.start < end and start < word.end and labels[place] == "O":
                labels[place] = f"{prefix}-{tag}"
                prefix = "I"
    return labels


def entities_of(words: Sequence[Word], labels: Sequence[str]) -> list[Entity]:
    """The entities that labels say, over code points: an I- that continues nothing opens one, types as NAMES has them.

    Raises ValueError on a label that is no BIO label.
    """
    return [
        (words[first].start, words[last - 1].end, NAMES[kind])
        for first, last, kind in bio_spans(labels)
        if kind in NAMES
    ]
