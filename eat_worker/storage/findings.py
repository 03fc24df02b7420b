"""What a report page shows beside sums: flags of rounds, and which documents went worst. Counted and chosen by SQL."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Select, bindparam, func, or_, select

from eat_worker.storage.engine import Transaction
from eat_worker.storage.tables import documents, rounds, runs, scores


def narrowed(run_id: int | None, dataset: str | None, lang: str | None) -> dict[str, Any]:
    """The values to narrow by, by column; None fits all."""
    given = {"run_id": run_id, "dataset": dataset, "lang": lang}
    return {name: value for name, value in given.items() if value is not None}


def flag_counts(transaction: Transaction, values: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Rounds by (run, flag). Reads every round that has a flag."""
    counted: Counter[tuple[str, str]] = Counter()
    for run, flags_json, number in transaction.rows(_flags(*sorted(values)), **values):
        for flag in orjson.loads(flags_json):
            counted[run, flag] += number
    return dict(sorted(counted.items()))


def worst(transaction: Transaction, values: dict[str, Any], most: int) -> list[int]:
    """Numbers of the documents with the most wrong and missed spans; then, without gold, those of the lowest BLEU."""
    return [row[0] for row in transaction.rows(_worst(*sorted(values)), **values, most=most)]


@cache
def _flags(*given: str) -> Select[Any]:
    return (
        select(runs.c.name, rounds.c.flags_json, func.count())
        .select_from(
            rounds.join(documents, documents.c.id == rounds.c.document_id).join(runs, runs.c.id == documents.c.run_id)
        )
        .where(rounds.c.flags_json.is_not(None), *(documents.c[name] == bindparam(name) for name in given))
        .group_by(runs.c.name, rounds.c.flags_json)
    )


@cache
def _worst(*given: str) -> Select[Any]:
    wrong = scores.c.span_fp + scores.c.span_fn
    return (
        select(documents.c.id)
        .select_from(documents.join(scores, scores.c.document_id == documents.c.id))
        .where(
            or_(wrong > 0, scores.c.span_tp.is_(None) & scores.c.bleu.is_not(None)),
            *(documents.c[name] == bindparam(name) for name in given),
        )
        .order_by(func.coalesce(wrong, 0).desc(), scores.c.bleu, documents.c.id)
        .limit(bindparam("most"))
    )
