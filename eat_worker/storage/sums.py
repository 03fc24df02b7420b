"""The figures of a report, added up by the database: one row per (run, dataset, language).

Knows which sums a corpus figure is made of; what F1, BLEU or L_e are is known to `metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from eat_worker.storage.engine import Transaction
from eat_worker.storage.rows import per_tag_of
from eat_worker.storage.statements import RUN_BY_ID, run_from
from eat_worker.storage.tables import BLEU_STATS, documents, entities, scores
from eat_worker.storage.values import Run, ScoreSums

SCORERS = ("strict", "official", "span")
GROUP = (documents.c.run_id, documents.c.dataset, documents.c.lang)
TOTALS = {
    "documents": func.count(),
    "bleu": func.sum(scores.c.bleu),
    "bleu_documents": func.count(scores.c.bleu),
    "signature": func.min(scores.c.bleu_signature),
    "other_signature": func.max(scores.c.bleu_signature),
    "loss": func.sum(scores.c.entropy_loss),
    "loss_documents": func.count(scores.c.entropy_loss),
    "seconds": func.sum(documents.c.round_seconds),
    **{name: func.sum(documents.c[name]) for name in ("prompt_tokens", "cached_tokens", "generated_tokens")},
    **{name: func.sum(scores.c[name]) for name in BLEU_STATS},
}
Group = tuple[int, str, str]


@dataclass(slots=True)
class _Found:
    """What the queries found of one group."""

    totals: Mapping[str, Any]
    counts: dict[str, list[tuple[int, int, int, int]]] = field(
        default_factory=lambda: {scorer: [] for scorer in SCORERS}
    )
    tags: dict[str, list[int]] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)


def score_sums(transaction: Transaction, run_id: int | None, dataset: str | None, lang: str | None) -> list[ScoreSums]:
    """The sums over all scored documents, narrowed by what is given; groups without a score are left out."""
    given = {"run_id": run_id, "dataset": dataset, "lang": lang}
    values = {name: value for name, value in given.items() if value is not None}
    rows = {name: transaction.rows(query, **values) for name, query in _queries(*sorted(values)).items()}
    groups = {row[:3]: _Found(dict(zip(TOTALS, row[3:], strict=True))) for row in rows["totals"]}
    runs = {key: run_from(transaction.rows(RUN_BY_ID, run_id=key)[0]) for key, _, _ in groups}
    for scorer in SCORERS:
        for *group, tp, fp, fn, number in rows[scorer]:
            groups[tuple(group)].counts[scorer].append((number, tp, fp, fn))
    for *group, per_tag_json, number in rows["tags"]:
        _add_tags(groups[tuple(group)].tags, per_tag_json, number)
    for *group, outcome, number in rows["outcomes"]:
        groups[tuple(group)].outcomes[outcome] = number
    for *group, status, number in rows["statuses"]:
        if tuple(group) in groups:
            groups[tuple(group)].statuses[status] = number
    return [_sums_of(runs[group[0]], group, groups[group]) for group in sorted(groups)]


@cache
def _queries(*given: str) -> dict[str, Select[Any]]:
    """Totals, counts by scorer and tag, outcomes and statuses, narrowed by the columns `given`."""
    narrowed = [documents.c[name] == bindparam(name) for name in given]
    joined = documents.join(scores, scores.c.document_id == documents.c.id)
    # finished_at is what the index `usage` is restricted to, and no document has scores without it.
    scored = select(*GROUP).where(documents.c.finished_at.is_not(None), *narrowed).group_by(*GROUP)
    from_scores = scored.select_from(joined)
    outcome = func.coalesce(entities.c.outcome, entities.c.fault)
    by_scorer = {}
    for scorer in SCORERS:
        counts = [scores.c[f"{scorer}_{name}"] for name in ("tp", "fp", "fn")]
        # Sorted: the order in which a bootstrap draws must not hang on the database.
        kept = from_scores.add_columns(*counts, func.count()).where(counts[0].is_not(None))
        by_scorer[scorer] = kept.group_by(*counts).order_by(*counts)
    return {
        **by_scorer,
        "totals": from_scores.add_columns(*TOTALS.values()),
        "tags": from_scores.add_columns(scores.c.per_tag_json, func.count())
        .where(scores.c.per_tag_json.is_not(None))
        .group_by(scores.c.per_tag_json),
        "outcomes": scored.select_from(joined.join(entities, entities.c.document_id == documents.c.id))
        .add_columns(outcome, func.count())
        .where(outcome.is_not(None))
        .group_by(outcome),
        "statuses": select(*GROUP, documents.c.status, func.count())
        .where(*narrowed)
        .group_by(documents.c.run_id, documents.c.status, documents.c.dataset, documents.c.lang),
    }


def _add_tags(tags: dict[str, list[int]], per_tag_json: str, number: int) -> None:
    for tag, counts in per_tag_of(per_tag_json).items():
        sums = tags.setdefault(tag, [0, 0, 0])
        for position, count in enumerate(counts):
            sums[position] += count * number


def _sums_of(run: Run, group: Group, found: _Found) -> ScoreSums:
    totals = found.totals
    signatures = {totals[name] for name in ("signature", "other_signature") if totals[name] is not None}
    stats = [totals[name] for name in BLEU_STATS]
    return ScoreSums(
        run=run,
        dataset=group[1],
        lang=group[2],
        documents=totals["documents"],
        strict_rows=tuple(found.counts["strict"]),
        official_rows=tuple(found.counts["official"]),
        span_rows=tuple(found.counts["span"]),
        tag_sums={tag: (tp, fp, fn) for tag, (tp, fp, fn) in sorted(found.tags.items())},
        bleu_mean=totals["bleu"] / totals["bleu_documents"] if totals["bleu_documents"] else None,
        bleu_documents=totals["bleu_documents"],
        bleu_stats=None if stats[0] is None else tuple(int(value) for value in stats),
        bleu_signature=" + ".join(sorted(signatures)) or None,
        entropy_loss_mean=totals["loss"] / totals["loss_documents"] if totals["loss_documents"] else None,
        entropy_loss_documents=totals["loss_documents"],
        outcomes=dict(sorted(found.outcomes.items())),
        statuses=dict(sorted(found.statuses.items())),
        seconds=float(totals["seconds"] or 0.0),
        prompt_tokens=int(totals["prompt_tokens"] or 0),
        cached_tokens=int(totals["cached_tokens"] or 0),
        generated_tokens=int(totals["generated_tokens"] or 0),
    )
