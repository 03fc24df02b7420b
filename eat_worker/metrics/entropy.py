"""Bigram entropy and the entropy loss L_e (eqs. 22 and 23). Knows strings; knows no model and no file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import fsum, log
from typing import Literal
from unicodedata import normalize

Unit = Literal["characters", "tokens"]
Given = Literal["next", "previous"]


def units_of(text: str, unit: Unit = "characters") -> Sequence[str]:
    """What the bigrams are made of: every code point of the NFC form, spaces included, or the words between blanks."""
    text = normalize("NFC", text)
    return text if unit == "characters" else text.split()


def bigram_entropy(units: Sequence[str], given: Given = "next") -> float:
    """H of one sequence in nats, over its distinct bigrams: sum of P(prev, cur) * -log P(. | .). Eq. 22.

    `next` conditions the earlier unit on the later one, P(prev | cur), as the paper prints it; `previous` is the
    usual P(cur | prev). Probabilities are shares of the sequence's own bigrams. 0.0 with fewer than two units.
    """
    return _entropy(Counter(pairwise(units)), given)


def entropy_loss(
    text: str, back_translation: str | None, unit: Unit = "characters", given: Given = "next"
) -> float | None:
    """L_e = H(back-translation) / H(text): 1.0 = the same information, although the paper calls it a loss. Eq. 23.

    None when the text has no entropy (H = 0) or there is no back-translation; an empty one keeps nothing: 0.0.
    """
    if back_translation is None:
        return None
    return _ratio(bigram_entropy(units_of(back_translation, unit), given), bigram_entropy(units_of(text, unit), given))


class PooledEntropy:
    """Bigram entropy of many texts taken as one: no bigram crosses from one text into the next."""

    def __init__(self, unit: Unit = "characters") -> None:
        self._unit: Unit = unit
        self._bigrams: Counter[tuple[str, str]] = Counter()

    def add(self, text: str) -> None:
        """Count one more text."""
        self._bigrams.update(pairwise(units_of(text, self._unit)))

    def value(self, given: Given = "next") -> float:
        """H of all texts added, in nats; see `bigram_entropy`."""
        return _entropy(self._bigrams, given)


def pooled_entropy_loss(texts: PooledEntropy, back_translations: PooledEntropy, given: Given = "next") -> float | None:
    """Corpus-level L_e of a language: the ratio of the pooled entropies. None when the texts have none."""
    return _ratio(back_translations.value(given), texts.value(given))


def _entropy(bigrams: Mapping[tuple[str, str], int], given: Given) -> float:
    side = 1 if given == "next" else 0
    condition: dict[str, int] = {}
    for bigram, number in bigrams.items():
        condition[bigram[side]] = condition.get(bigram[side], 0) + number
    # log(condition / number) is exactly 0.0 for a certain unit: a sentence without entropy never gets a rest of one.
    surprises = fsum(number * log(condition[bigram[side]] / number) for bigram, number in bigrams.items())
    return surprises / sum(bigrams.values()) if bigrams else 0.0


def _ratio(kept: float, whole: float) -> float | None:
    return kept / whole if whole else None
