"""From grouped counts to the figures a report prints: micro F1 with precision, recall and interval.

Counts in, numbers out; which corpus and scorer they belong to is the caller's to print beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eat_worker.metrics.f1 import Counts, precision_recall_f1
from eat_worker.metrics.intervals import Row, bootstrap_f1


@dataclass(frozen=True, slots=True)
class Figure:
    """Micro F1, precision and recall in [0, 1]; `low` and `high` bound F1 at 95 %, None where nothing was resampled."""

    f1: float
    precision: float
    recall: float
    low: float | None = None
    high: float | None = None


def figure(rows: Sequence[Row], seed: int = 0, resamples: int = 1000) -> Figure | None:
    """The figure of a corpus from (documents, tp, fp, fn) rows, its interval bootstrapped. None without documents."""
    interval = bootstrap_f1(rows, resamples, seed)
    if interval is None:
        return None
    tp, fp, fn = (sum(row[0] * row[column] for row in rows) for column in (1, 2, 3))
    precision, recall, f1 = precision_recall_f1(tp, fp, fn)
    return Figure(f1, precision, recall, *interval)


def tag_figures(tag_sums: Mapping[str, Counts], scorer: str) -> dict[str, Figure]:
    """One figure by tag from sums under "<scorer>/<tag>" keys, without intervals, tags in alphabetical order."""
    prefix = f"{scorer}/"
    figures: dict[str, Figure] = {}
    for key in sorted(tag_sums):
        if key.startswith(prefix):
            precision, recall, f1 = precision_recall_f1(*tag_sums[key])
            figures[key.removeprefix(prefix)] = Figure(f1, precision, recall)
    return figures
