"""Training of the extractor `crf`: minutes at most on one core, the same bytes from the same data and seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eat_worker.engines.extractors.crf_features import features_of
from eat_worker.engines.extractors.words import labels_of, words_of
from eat_worker.errors import ConfigurationError
from eat_worker.training.name_substitution import Names, made_sentences, renamed
from eat_worker.training.tagged import Tagged


@dataclass(frozen=True, slots=True)
class CrfSettings:
    """Weights of the L1 and L2 penalties, how often a feature must occur, L-BFGS iterations, and with a list of names:
    how many times each sentence with entities is seen again under other names, and how many sentences are made.
    """

    c1: float = 0.06
    c2: float = 0.2
    min_frequency: int = 1
    iterations: int = 80
    renamings: int = 2
    made: int = 3000

    def described(self) -> dict[str, Any]:
        """What a card says of it."""
        return asdict(self)


def train_crf(
    sentences: Sequence[Tagged], out: Path, settings: CrfSettings, *, names: Names | None = None, seed: int
) -> None:
    """Train on the sentences and write the model. Raises ConfigurationError when python-crfsuite is missing."""
    try:
        import pycrfsuite
    except ModuleNotFoundError as error:
        raise ConfigurationError("training a crf needs python-crfsuite; run: pip install python-crfsuite") from error
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params(
        {
            "c1": settings.c1,
            "c2": settings.c2,
            "max_iterations": settings.iterations,
            "feature.minfreq": settings.min_frequency,
            "feature.possible_transitions": True,
        }
    )
    for sentence in [*sentences, *_more(sentences, settings, names, seed)]:
        words = words_of(sentence.text)
        trainer.append(features_of(words), labels_of(words, sentence.entities))
    out.parent.mkdir(parents=True, exist_ok=True)
    trainer.train(str(out))


def _more(sentences: Sequence[Tagged], settings: CrfSettings, names: Names | None, seed: int) -> list[Tagged]:
    if names is None:
        return []
    draw = random.Random(seed)
    named = [sentence for sentence in sentences if sentence.entities]
    again = [renamed(sentence, names, draw) for _ in range(settings.renamings) for sentence in named]
    return [*again, *made_sentences(settings.made, names, draw)]
