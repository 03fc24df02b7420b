"""Fine-tuning of extractors that are transformers checkpoints: `flan_t5` and `token_classification`.

One plain loop: AdamW, a constant learning rate, sentences shuffled anew in every epoch, all from one seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eat_worker.engines.extractors.checkpoints import device, load_tokenizer
from eat_worker.engines.extractors.extractor import numbered, render_entities
from eat_worker.engines.extractors.flan_t5 import question
from eat_worker.engines.extractors.words import labels_of, words_of
from eat_worker.method.document import TAGS
from eat_worker.training.tagged import Tagged

LABELS: tuple[str, ...] = ("O", *(f"{prefix}-{tag}" for tag in TAGS for prefix in "BI"))
_IGNORED = -100  # a position that torch's cross entropy leaves out


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast: passes over the data, AdamW's learning rate, sentences per step."""

    epochs: int
    learning_rate: float
    batch: int


def fine_tune_flan_t5(base: Path, sentences: Sequence[Tagged], out: Path, schedule: Schedule, seed: int) -> list[float]:
    """Train the T5 checkpoint `base` to answer with entities in the paper's format; the mean loss of each epoch."""
    import torch
    from transformers import T5ForConditionalGeneration

    tokenizer = load_tokenizer(base)
    torch.manual_seed(seed)
    model: Any = T5ForConditionalGeneration.from_pretrained(base, local_files_only=True, use_safetensors=True)

    def batch_of(some: Sequence[Tagged]) -> dict[str, Any]:
        asked = tokenizer([question(one.text) for one in some], padding=True, return_tensors="pt")
        answers = [render_entities(numbered(one.text, one.entities)) for one in some]
        said = tokenizer(answers, padding=True, return_tensors="pt")
        labels = said["input_ids"].masked_fill(said["attention_mask"] == 0, _IGNORED)  # (batch, tokens) int64
        return {"input_ids": asked["input_ids"], "attention_mask": asked["attention_mask"], "labels": labels}

    losses = _train(model, batch_of, sentences, schedule, seed)
    _save(model, tokenizer, out)
    return losses


def fine_tune_token_classification(
    base: Path, sentences: Sequence[Tagged], out: Path, schedule: Schedule, seed: int
) -> list[float]:
    """Train a labelling head on the encoder `base`; the mean loss of each epoch.

    The first piece of a word learns its label, the others nothing. What exceeds the model's length is not learnt from.
    """
    import torch
    from transformers import AutoModelForTokenClassification

    tokenizer = load_tokenizer(base)
    torch.manual_seed(seed)  # the new head is drawn at random
    model: Any = AutoModelForTokenClassification.from_pretrained(
        base,
        local_files_only=True,
        use_safetensors=True,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
        ignore_mismatched_sizes=True,
    )
    longest = min(tokenizer.model_max_length, model.config.max_position_embeddings)

    def batch_of(some: Sequence[Tagged]) -> dict[str, Any]:
        words = [words_of(one.text) for one in some]
        pieces = tokenizer(
            [[word.text for word in sentence] for sentence in words],
            is_split_into_words=True,
            truncation=True,
            max_length=longest,
            padding=True,
            return_tensors="pt",
        )
        labels = torch.full_like(pieces["input_ids"], _IGNORED)  # (batch, pieces) int64
        for row, (sentence, one) in enumerate(zip(words, some, strict=True)):
            numbers = [LABELS.index(label) for label in labels_of(sentence, one.entities)]
            before: int | None = None
            for piece, word in enumerate(pieces.word_ids(row)):
                if word is not None and word != before:
                    labels[row, piece] = numbers[word]
                before = word
        return {**pieces, "labels": labels}

    losses = _train(model, batch_of, sentences, schedule, seed)
    _save(model, tokenizer, out)
    return losses


def _train(
    model: Any,
    batch_of: Callable[[Sequence[Tagged]], Mapping[str, Any]],
    sentences: Sequence[Tagged],
    schedule: Schedule,
    seed: int,
) -> list[float]:
    import torch

    model.to(device()).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate)
    order = random.Random(seed)
    learnt = list(sentences)
    losses = []
    for _ in range(schedule.epochs):
        order.shuffle(learnt)
        steps = [learnt[begin : begin + schedule.batch] for begin in range(0, len(learnt), schedule.batch)]
        total = 0.0
        for some in steps:
            values = {name: tensor.to(model.device) for name, tensor in batch_of(some).items()}
            loss = model(**values).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += float(loss.detach())
        losses.append(total / len(steps))
    return losses


def _save(model: Any, tokenizer: Any, out: Path) -> None:
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
