"""The figures of a report, added up by the database: one row per (run, dataset, language).

Knows which sums a corpus figure is made of; what F1, BLEU or L_e are is known to `metrics`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from eat_worker.storage.reading import Reading
from eat_worker.storage.rows import per_tag_of
from eat_worker.storage.submission import RUN_BY_ID, run_from
from eat_worker.storage.tables import BLEU_STATS, COUNTS, documents, entities, scores
from eat_worker.storage.values import Run, ScoreSums

USAGE = ("round_seconds", "prompt_tokens", "cached_tokens", "generated_tokens")
GROUP = (documents.c.run_id, documents.c.dataset, documents.c.lang)
Group = tuple[int, str, str]
Rows = tuple[tuple[int, int, int, int], ...]


@dataclass(slots=True)
class _Sums:
    """What was found of one group, before it is told."""

    counts: list[tuple[Any, ...]] = field(default_factory=list)
    tags: dict[str, list[int]] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)


class Sums(Reading):
    """The part of a store that a report is made from."""

    def score_sums(
        self, *, dataset: str | None = None, run: str | int | None = None, lang: str | None = None
    ) -> list[ScoreSums]:
        """The sums over all scored documents, narrowed by what is given; groups without a score are left out.

        Raises NotFound when there is no such run.
        """
        found: dict[Group, _Sums] = {}
        with self.database.read() as transaction:
            run_id = None if run is None else self._find_run(transaction, run).id
            given = {"run_id": run_id, "dataset": dataset, "lang": lang}
            values = {name: value for name, value in given.items() if value is not None}
            counts, tags, outcomes, statuses = (
                [(row[:3], row[3:]) for row in transaction.rows(query, **values)] for query in _queries(*sorted(values))
            )
            for group, row in counts:
                found.setdefault(group, _Sums()).counts.append(row)
            of_run = {key: transaction.rows(RUN_BY_ID, run_id=key)[0] for key in {group[0] for group in found}}
        for group, (per_tag_json, number) in tags:
            _add_tags(found[group].tags, per_tag_json, number)
        for group, (outcome, number) in outcomes:
            found[group].outcomes[outcome] = number
        for group, (status, number) in statuses:
            if group in found:
                found[group].statuses[status] = number
        return [_told(run_from(of_run[group[0]]), group, found[group]) for group in sorted(found)]


@cache
def _queries(*given: str) -> tuple[Select[Any], ...]:
    """Counts with sums, counts by tag, outcomes and statuses, narrowed by the columns `given`."""
    narrowed = [documents.c[name] == bindparam(name) for name in given]
    # finished_at is what the index `usage` is restricted to, and no document has scores without it.
    scored = (documents.c.finished_at.is_not(None), *narrowed)
    joined = documents.join(scores, scores.c.document_id == documents.c.id)
    counts = [scores.c[name] for name in COUNTS]
    outcome = func.coalesce(entities.c.outcome, entities.c.fault)
    return (
        select(*GROUP, *counts, func.count(), *_totals()).select_from(joined).where(*scored).group_by(*GROUP, *counts),
        select(*GROUP, scores.c.per_tag_json, func.count())
        .select_from(joined)
        .where(*scored, scores.c.per_tag_json.is_not(None))
        .group_by(*GROUP, scores.c.per_tag_json),
        select(*GROUP, outcome, func.count())
        .select_from(joined.join(entities, entities.c.document_id == documents.c.id))
        .where(*scored, outcome.is_not(None))
        .group_by(*GROUP, outcome),
        select(*GROUP, documents.c.status, func.count())
        .where(*narrowed)
        .group_by(documents.c.run_id, documents.c.dataset, documents.c.lang, documents.c.status),
    )


def _totals() -> list[Any]:
    return [
        func.sum(scores.c.bleu),
        func.count(scores.c.bleu),
        func.min(scores.c.bleu_signature),
        func.max(scores.c.bleu_signature),
        func.sum(scores.c.entropy_loss),
        func.count(scores.c.entropy_loss),
        *(func.sum(documents.c[name]) for name in USAGE),
        *(func.sum(scores.c[name]) for name in BLEU_STATS),
    ]


def _add_tags(tags: dict[str, list[int]], per_tag_json: str, number: int) -> None:
    for tag, counts in per_tag_of(per_tag_json).items():
        sums = tags.setdefault(tag, [0, 0, 0])
        for position, count in enumerate(counts):
            sums[position] += count * number


def _told(run: Run, group: Group, sums: _Sums) -> ScoreSums:
    # A row: nine counts, the documents that share them, six sums of BLEU and L_e, four of usage, ten of BLEU's own.
    strict, official, span = (_count_rows(sums.counts, first) for first in (0, 3, 6))
    bleu, bleu_documents, loss, loss_documents = (_total(sums.counts, at) for at in (10, 11, 14, 15))
    seconds, prompt, cached, generated = (_total(sums.counts, at) for at in (16, 17, 18, 19))
    signatures = {row[at] for row in sums.counts for at in (12, 13) if row[at] is not None}
    has_stats = any(row[20] is not None for row in sums.counts)
    return ScoreSums(
        run=run,
        dataset=group[1],
        lang=group[2],
        documents=int(_total(sums.counts, 9)),
        strict_rows=strict,
        official_rows=official,
        span_rows=span,
        tag_sums={tag: (tp, fp, fn) for tag, (tp, fp, fn) in sorted(sums.tags.items())},
        bleu_mean=bleu / bleu_documents if bleu_documents else None,
        bleu_documents=int(bleu_documents),
        bleu_stats=tuple(int(_total(sums.counts, at)) for at in range(20, 30)) if has_stats else None,
        bleu_signature=" + ".join(sorted(signatures)) or None,
        entropy_loss_mean=loss / loss_documents if loss_documents else None,
        entropy_loss_documents=int(loss_documents),
        outcomes=dict(sorted(sums.outcomes.items())),
        statuses=dict(sorted(sums.statuses.items())),
        seconds=float(seconds),
        prompt_tokens=int(prompt),
        cached_tokens=int(cached),
        generated_tokens=int(generated),
    )


def _count_rows(rows: Iterable[tuple[Any, ...]], first: int) -> Rows:
    """(documents, tp, fp, fn) of one scorer, sorted: the order of a bootstrap must not hang on the database's."""
    found: dict[tuple[int, int, int], int] = {}
    for row in rows:
        if row[first] is not None:
            counts = (row[first], row[first + 1], row[first + 2])
            found[counts] = found.get(counts, 0) + row[9]
    return tuple((number, *counts) for counts, number in sorted(found.items()))


def _total(rows: Iterable[tuple[Any, ...]], at: int) -> float:
    return float(sum(row[at] for row in rows if row[at] is not None))
