"""From grouped counts to the figures a report prints: micro F1 with precision, recall and interval.

Counts in, numbers out; which corpus and scorer they belong to is the caller's to print beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eat_worker.metrics.f1 import precision_recall_f1
from eat_worker.metrics.intervals import Row, bootstrap_f1

SCORERS = {
    "token_strict": "strict",
    "official": "official",
    "span": "span",
    "span_lenient": "lenient",
    "span_partial": "partial",
}
"""What a report calls a scorer, and what its counts are called."""
SEED = 0
_UNITS = {"partial": 2}


@dataclass(frozen=True, slots=True)
class Figure:
    """Micro F1, precision and recall in [0, 1]; `low` and `high` bound F1 at 95 %.

    `support` is what there was to find, `found` what was found, in the scorer's unit: tokens or entities.
    """

    f1: float
    precision: float
    recall: float
    low: float
    high: float
    support: int
    found: int


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Sentences whose gold is empty, how many of them were given entities all the same, and how many entities."""

    documents: int
    alarmed: int
    entities: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that counts make of one corpus; a figure is None where it has nothing to count.

    `per_tag` is by scorer and tag. `false_alarms` is None where every document has gold entities.
    """

    token_strict: Figure | None
    official: Figure | None
    span: Figure | None
    span_lenient: Figure | None
    span_partial: Figure | None
    per_tag: Mapping[str, Mapping[str, Figure]]
    false_alarms: FalseAlarms | None

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat report --json`: percentages with four decimals, counts as they are."""
        return {
            **{name: _percent(getattr(self, name)) for name in SCORERS},
            "per_tag": {
                scorer: {tag: _percent(one) for tag, one in tags.items()} for scorer, tags in self.per_tag.items()
            },
            "false_alarms": None if self.false_alarms is None else asdict(self.false_alarms),
        }


def figures(rows: Mapping[str, Sequence[Row]], tag_rows: Mapping[str, Sequence[Row]]) -> Figures:
    """All figures from (documents, tp, fp, fn) rows by scorer, and by "<scorer>/<tag>"; names as SCORERS' values."""
    alarms = false_alarms(rows["span"])
    return Figures(
        **{name: figure(rows[scorer], SEED, unit=_UNITS.get(scorer, 1)) for name, scorer in SCORERS.items()},
        per_tag={name: tag_figures(tag_rows, scorer, SEED, _UNITS.get(scorer, 1)) for name, scorer in SCORERS.items()},
        false_alarms=alarms if alarms.documents else None,
    )


def figure(rows: Sequence[Row], seed: int = 0, resamples: int = 1000, unit: int = 1) -> Figure | None:
    """The figure of a corpus from (documents, tp, fp, fn) rows, its interval bootstrapped.

    None where nothing was to be found and nothing was found: such a corpus has no F1, and not one of 0. `unit` is
    what one entity counts: 2 for counts in halves.
    """
    interval = bootstrap_f1(rows, resamples, seed)
    if interval is None:
        return None
    tp, fp, fn = (sum(row[0] * row[column] for row in rows) for column in (1, 2, 3))
    precision, recall, f1 = precision_recall_f1(tp, fp, fn)
    return Figure(f1, precision, recall, *interval, support=(tp + fn) // unit, found=(tp + fp) // unit)


def tag_figures(tag_rows: Mapping[str, Sequence[Row]], scorer: str, seed: int = 0, unit: int = 1) -> dict[str, Figure]:
    """One figure by tag from rows under "<scorer>/<tag>" keys, tags in alphabetical order; absent tags are left out."""
    prefix = f"{scorer}/"
    made = {
        key.removeprefix(prefix): figure(tag_rows[key], seed, unit=unit)
        for key in sorted(tag_rows)
        if key.startswith(prefix)
    }
    return {tag: one for tag, one in made.items() if one is not None}


def false_alarms(span_rows: Sequence[Row]) -> FalseAlarms:
    """What was found in sentences in which nothing is: F1 of them is 0 or undefined, and tells nothing."""
    empty = [(documents, fp) for documents, tp, fp, fn in span_rows if tp + fn == 0]
    return FalseAlarms(
        documents=sum(documents for documents, _ in empty),
        alarmed=sum(documents for documents, fp in empty if fp),
        entities=sum(documents * fp for documents, fp in empty),
    )


def percent(share: float) -> float:
    """A share as a percentage with four decimals: what floating point leaves behind them is no figure."""
    return round(100 * share, 4)


def _percent(one: Figure | None) -> dict[str, float | int] | None:
    if one is None:
        return None
    ratios = {name: percent(getattr(one, name)) for name in ("f1", "precision", "recall", "low", "high")}
    return {**ratios, "support": one.support, "found": one.found}
