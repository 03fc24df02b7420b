"""The extractor `token_classification`: any local transformers checkpoint that labels word pieces (Table 6, mBERT).

Words are those of `words.py`; the label of a word is that of its first piece. A text longer than the model takes is
read in windows that follow each other, so nothing is left out.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eat_worker.engines.extractors.checkpoints import batches_by_length, device, load_tokenizer
from eat_worker.engines.extractors.extractor import ExtractorInfo, numbered
from eat_worker.engines.extractors.words import NAMES, Word, entities_of, words_of
from eat_worker.errors import ConfigurationError
from eat_worker.method.document import EnglishEntity
from eat_worker.metrics.f1 import bio_spans

KIND = "token_classification"


class TokenClassification:
    """One loaded checkpoint. `extract` may be called from many threads; they take turns."""

    def __init__(self, folder: Path, sha256: str, *, batch: int = 32) -> None:
        """Load `folder`. Raises ConfigurationError when its labels are not BIO labels of people, places or orgs."""
        from transformers import AutoModelForTokenClassification

        self.info = ExtractorInfo(KIND, folder.name, sha256, batch)
        self._tokenizer = load_tokenizer(folder)
        model: Any = AutoModelForTokenClassification.from_pretrained(
            folder, local_files_only=True, use_safetensors=True
        )
        self._labels = _labels(folder, model.config.id2label)
        self._longest = min(self._tokenizer.model_max_length, model.config.max_position_embeddings)
        self._model = model.to(device()).eval()
        self._turn = threading.Lock()

    def extract(self, texts: Sequence[str]) -> list[tuple[EnglishEntity, ...]]:
        """The entities of each text, numbered from 0 in the order of the text."""
        words = [words_of(text) for text in texts]
        found: list[tuple[EnglishEntity, ...]] = [()] * len(texts)
        for places in batches_by_length([len(some) for some in words], self.info.batch):
            labelled = self._labelled([words[place] for place in places])
            for place, labels in zip(places, labelled, strict=True):
                found[place] = numbered(texts[place], entities_of(words[place], labels))
        return found

    def _labelled(self, sentences: Sequence[Sequence[Word]]) -> list[list[str]]:
        """The label of every word; a word the tokenizer has no piece for is O."""
        import torch

        with self._turn, torch.inference_mode():
            pieces = self._tokenizer(
                [[word.text for word in words] for words in sentences],
                is_split_into_words=True,
                truncation=True,
                max_length=self._longest,
                return_overflowing_tokens=True,
                padding=True,
                return_tensors="pt",
            )
            rows = pieces.pop("overflow_to_sample_mapping").tolist()
            # logits: (windows, pieces, labels) float; best: (windows, pieces) int64
            best = self._model(**pieces.to(self._model.device)).logits.argmax(-1).tolist()
        labels = [["O"] * len(words) for words in sentences]
        known: set[tuple[int, int]] = set()
        for window, sentence in enumerate(rows):
            for piece, word in enumerate(pieces.word_ids(window)):
                if word is not None and (sentence, word) not in known:
                    known.add((sentence, word))
                    labels[sentence][word] = self._labels[best[window][piece]]
        return labels

    def close(self) -> None:
        """Give the memory back."""
        with self._turn:
            self._model = None


def _labels(folder: Path, id2label: dict[int, str]) -> list[str]:
    labels = [id2label[number] for number in sorted(id2label)]
    try:
        kinds = {kind for label in labels for _, _, kind in bio_spans([label])}
    except ValueError as error:
        raise ConfigurationError(f"{folder}: {error}; its config.json must name BIO labels (id2label)") from error
    if not kinds & set(NAMES):
        raise ConfigurationError(f"{folder}: no label of {', '.join(labels)} means a person, place or organization")
    return labels
