"""The extractor `flan_t5`: text to text as in the paper (eq. 4), `(PER, Ann) (LOC, Oslo)` from an English sentence.

Any local T5 checkpoint trained with `eat train extractor --kind flan_t5`. Knows no chat and no chat engine.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eat_worker.engines.extractors.checkpoints import batches_by_length, device, load_tokenizer
from eat_worker.engines.extractors.extractor import ExtractorInfo
from eat_worker.method.document import TAGS, EnglishEntity
from eat_worker.method.extract import parse_entities

KIND = "flan_t5"
ANSWER_TOKENS = 128


def question(text: str) -> str:
    """What the model reads: the task, the tag set and the sentence."""
    return f"Extract the entities ({', '.join(TAGS)}) as (TYPE, entity): {text}"


class FlanT5:
    """One loaded checkpoint, asked greedily. `extract` may be called from many threads; they take turns."""

    def __init__(self, folder: Path, sha256: str, *, batch: int = 16) -> None:
        """Load `folder`. Raises ConfigurationError when its tokenizer cannot be used."""
        from transformers import T5ForConditionalGeneration

        self.info = ExtractorInfo(KIND, folder.name, sha256, batch)
        self._tokenizer = load_tokenizer(folder)
        model: Any = T5ForConditionalGeneration.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        self._model = model.to(device()).eval()
        self._turn = threading.Lock()

    def extract(self, texts: Sequence[str]) -> list[tuple[EnglishEntity, ...]]:
        """The entities of each text as the model named them; one that has no place says why."""
        found: list[tuple[EnglishEntity, ...]] = [()] * len(texts)
        for places in batches_by_length([len(text.strip()) for text in texts], self.info.batch):
            answers = self._answers([texts[place] for place in places])
            for place, answer in zip(places, answers, strict=True):
                found[place] = parse_entities(answer, texts[place], TAGS)
        return found

    def _answers(self, texts: Sequence[str]) -> list[str]:
        import torch

        with self._turn, torch.inference_mode():
            # T5 has relative positions: no text is too long for it, so nothing is cut. (batch, tokens) int64
            pieces = self._tokenizer([question(text) for text in texts], padding=True, return_tensors="pt")
            generated = self._model.generate(
                input_ids=pieces["input_ids"].to(self._model.device),
                attention_mask=pieces["attention_mask"].to(self._model.device),
                max_new_tokens=ANSWER_TOKENS,
                do_sample=False,
                num_beams=1,
            )
            answers: list[str] = self._tokenizer.batch_decode(generated, skip_special_tokens=True)
        return answers

    def close(self) -> None:
        """Give the memory back."""
        with self._turn:
            self._model = None
