"""The numbers of one document: counts whose sums are the corpus figures, BLEU statistics, and L_e."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eat_worker.method.document import Alignment, Document
from eat_worker.method.languages import UNSPACED
from eat_worker.metrics.bleu import sentence_bleu
from eat_worker.metrics.entropy import entropy_loss
from eat_worker.metrics.f1 import Counts, micro, official, span_counts, token_strict
from eat_worker.storage.values import Scores


def score(document: Document, alignments: Sequence[Alignment], back_translation: str | None) -> Scores:
    """Scores of one document; counts are None without gold, BLEU and L_e without a back-translation."""
    by_scorer = _by_scorer(document, alignments)
    bleu = sentence_bleu(back_translation, document.text, document.lang) if back_translation is not None else None
    return Scores(
        strict=_micro(by_scorer.get("strict")),
        official=_micro(by_scorer.get("official")),
        span=_micro(by_scorer.get("span")),
        per_tag={f"{name}/{tag}": counts for name, tags in by_scorer.items() for tag, counts in tags.items()},
        bleu=bleu.score if bleu else None,
        bleu_signature=bleu.signature if bleu else None,
        bleu_stats=tuple(bleu.stats) if bleu else None,
        entropy_loss=entropy_loss(document.text, back_translation) if back_translation is not None else None,
    )


def _by_scorer(document: Document, alignments: Sequence[Alignment]) -> dict[str, Mapping[str, Counts]]:
    if document.gold is None:
        return {}
    text = document.text
    gold = [(entity.start, entity.end, entity.tag) for entity in document.gold]
    found = [(line.span.start, line.span.end, line.english.tag) for line in alignments if line.span is not None]
    counts: dict[str, Mapping[str, Counts]] = {
        "strict": token_strict(text, document.lang, gold, found),
        "span": span_counts(gold, found),
    }
    released = official(
        text,
        [(text[start:end], tag) for start, end, tag in gold],
        [(text[start:end], tag) for start, end, tag in found],
        zh=document.lang in UNSPACED,
    )
    return counts if released is None else {**counts, "official": released}


def _micro(counts: Mapping[str, Counts] | None) -> Counts | None:
    return micro(dict(counts)) if counts is not None else None
