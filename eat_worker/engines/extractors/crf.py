"""The extractor `crf`: a linear-chain conditional random field over the words of a sentence (python-crfsuite).

Thousands of sentences a second on one core, without any neural weights. Knows no training.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eat_worker.engines.extractors.crf_features import features_of
from eat_worker.engines.extractors.extractor import ExtractorInfo, numbered
from eat_worker.engines.extractors.words import NAMES, entities_of, words_of
from eat_worker.errors import ConfigurationError
from eat_worker.method.document import EnglishEntity
from eat_worker.metrics.f1 import bio_spans

KIND = "crf"
BATCH = 64  # texts are labelled one by one; this many are taken at once


class Crf:
    """One loaded model. `extract` may be called from many threads."""

    def __init__(self, path: Path, sha256: str) -> None:
        """Load `path`. Raises ConfigurationError when it is no CRF of BIO labels, or python-crfsuite is missing."""
        self.info = ExtractorInfo(KIND, path.name, sha256, BATCH)
        self._tagger = _opened(path)
        self._turn = threading.Lock()  # a tagger holds the sentence it works on
        _check(path, self._tagger.labels())

    def extract(self, texts: Sequence[str]) -> list[tuple[EnglishEntity, ...]]:
        """The entities of each text, numbered from 0 in the order of the text."""
        return [self._extracted(text) for text in texts]

    def _extracted(self, text: str) -> tuple[EnglishEntity, ...]:
        words = words_of(text)
        features = features_of(words)
        with self._turn:
            labels: list[str] = self._tagger.tag(features) if words else []
        return numbered(text, entities_of(words, labels))

    def close(self) -> None:
        """Give the memory back."""
        with self._turn:
            self._tagger.close()


def _opened(path: Path) -> Any:
    try:
        import pycrfsuite
    except ModuleNotFoundError as error:
        raise ConfigurationError("the extractor crf needs python-crfsuite; run: pip install python-crfsuite") from error
    tagger = pycrfsuite.Tagger()
    try:
        tagger.open(str(path))
    except ValueError as error:
        raise ConfigurationError(f"{path} is not a model of python-crfsuite: {error}") from error
    return tagger


def _check(path: Path, labels: Sequence[str]) -> None:
    try:
        kinds = {kind for label in labels for _, _, kind in bio_spans([label])}
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}; train it on BIO files") from error
    if not kinds & set(NAMES):
        raise ConfigurationError(f"{path}: no label of {', '.join(labels)} means a person, place or organization")
