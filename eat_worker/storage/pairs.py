"""Two runs side by side: the documents that both have scored, paired by their content.

Knows how documents of two runs find each other; what a difference means is known to `metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, literal, or_, select

from eat_worker.storage.engine import Transaction
from eat_worker.storage.rows import per_tag_of
from eat_worker.storage.tables import documents, scores


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """Documents of two runs with equal counts: `first` and `second` as `Scores.per_tag`."""

    dataset: str
    lang: str
    first: Mapping[str, tuple[int, int, int]]
    second: Mapping[str, tuple[int, int, int]]
    documents: int


@dataclass(frozen=True, slots=True)
class Flip:
    """A sentence that one of two runs has wholly right: its number in each, and the wrong and missed spans there."""

    first: int
    second: int
    id: str | None
    dataset: str
    lang: str
    text: str
    wrong_in_first: int
    wrong_in_second: int


@dataclass(frozen=True, slots=True)
class PairedRuns:
    """Two runs on the same documents; `only_first` and `only_second` count those that one of them has scored.

    `flips` counts the sentences that only the first, and only the second run has wholly right; `flipped` are those
    that differ most.
    """

    counts: tuple[PairedCounts, ...]
    documents: int
    only_first: int
    only_second: int
    flips: tuple[int, int]
    flipped: tuple[Flip, ...]


_A, _B = documents.alias("a"), documents.alias("b")
_SCORES_A, _SCORES_B = scores.alias("scores_a"), scores.alias("scores_b")
_PAIRS = (
    _A.join(_SCORES_A, _SCORES_A.c.document_id == _A.c.id)
    # The unique index of a run's contents finds the partner.
    .join(_B, and_(_B.c.run_id == bindparam("second"), _B.c.content_sha256 == _A.c.content_sha256))
    .join(_SCORES_B, _SCORES_B.c.document_id == _B.c.id)
)
_BOTH = (_A.c.run_id == bindparam("first"), _SCORES_A.c.span_tp.is_not(None), _SCORES_B.c.span_tp.is_not(None))
COUNTS = (
    select(_A.c.dataset, _A.c.lang, _SCORES_A.c.per_tag_json, _SCORES_B.c.per_tag_json, func.count())
    .select_from(_PAIRS)
    .where(*_BOTH)
    .group_by(_A.c.dataset, _A.c.lang, _SCORES_A.c.per_tag_json, _SCORES_B.c.per_tag_json)
)
WITH_GOLD = (
    select(func.count())
    .select_from(documents.join(scores, scores.c.document_id == documents.c.id))
    .where(documents.c.run_id == bindparam("run_id"), scores.c.span_tp.is_not(None))
)


def _wrong(table: Any) -> ColumnElement[int]:
    return table.c.span_fp + table.c.span_fn  # type: ignore[no-any-return]  # a column is untyped in SQLAlchemy


_WRONG_A, _WRONG_B = _wrong(_SCORES_A), _wrong(_SCORES_B)
_FLIPPED = or_(and_(_WRONG_A == 0, _WRONG_B > 0), and_(_WRONG_A > 0, _WRONG_B == 0))
FLIPS = (
    select(_A.c.id, _B.c.id, _A.c.ext_id, _A.c.dataset, _A.c.lang, _A.c.text, _WRONG_A, _WRONG_B)
    .select_from(_PAIRS)
    .where(*_BOTH, _FLIPPED)
    .order_by((_WRONG_A + _WRONG_B).desc(), _A.c.id)
    .limit(bindparam("most"))
)
FLIP_COUNTS: Select[Any] = (
    select(
        func.sum(case((_WRONG_A == 0, literal(1)), else_=literal(0))),
        func.sum(case((_WRONG_B == 0, literal(1)), else_=literal(0))),
    )
    .select_from(_PAIRS)
    .where(*_BOTH, _FLIPPED)
)


def paired_runs(transaction: Transaction, first: int, second: int, most: int) -> PairedRuns:
    """The documents that both runs have scored with gold, grouped by equal counts, and at most `most` flips."""
    both = {"first": first, "second": second}
    rows = sorted(transaction.rows(COUNTS, **both), key=lambda row: tuple(str(cell) for cell in row))
    counts = tuple(
        PairedCounts(dataset, lang, per_tag_of(one), per_tag_of(other), number)
        for dataset, lang, one, other, number in rows
    )
    documents = sum(pair.documents for pair in counts)
    alone = [transaction.rows(WITH_GOLD, run_id=run_id)[0][0] - documents for run_id in (first, second)]
    only_first, only_second = transaction.rows(FLIP_COUNTS, **both)[0]
    return PairedRuns(
        counts=counts,
        documents=documents,
        only_first=alone[0],
        only_second=alone[1],
        flips=(only_first or 0, only_second or 0),
        flipped=tuple(Flip(*row) for row in transaction.rows(FLIPS, **both, most=most)),
    )
