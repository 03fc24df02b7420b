"""Documents grouped by equal counts, for every scorer and every tag: what intervals are drawn from, in little memory.

Keys are "<scorer>/<tag>"; "lenient" and "partial" stand for all tags together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from eat_worker.metrics.f1 import Counts, micro, partial_counts
from eat_worker.metrics.intervals import Row

SCORED = ("strict", "official", "span", "lenient", "partial")
"""What counts are called; those of partial are made of span and lenient."""


def with_partial(per_tag: Mapping[str, Counts]) -> dict[str, Counts]:
    """The counts of one document by "<scorer>/<tag>" and, under the scorer alone, of all tags together."""
    lenient = [key.partition("/")[2] for key in per_tag if key.startswith("lenient/")]
    counts = {**per_tag}
    for tag in lenient:
        counts[f"partial/{tag}"] = partial_counts(per_tag[f"span/{tag}"], per_tag[f"lenient/{tag}"])
    for scorer in SCORED:
        of_scorer = {key: value for key, value in counts.items() if key.startswith(f"{scorer}/")}
        if of_scorer:
            counts[scorer] = micro(of_scorer)
    return counts


class Tally:
    """Counts how many documents have which counts."""

    def __init__(self) -> None:
        self.documents = 0
        self._documents: dict[str, Counter[Counts]] = {}

    def add(self, per_tag: Mapping[str, Counts], documents: int = 1) -> None:
        """Add documents that all have these counts by "<scorer>/<tag>"."""
        self.documents += documents
        for key, counts in with_partial(per_tag).items():
            self._documents.setdefault(key, Counter())[counts] += documents

    def rows(self, key: str, documents: int) -> tuple[Row, ...]:
        """Rows of `documents` documents by their counts under `key`; those that were not counted there have zeros."""
        counted = self._documents.get(key, Counter())
        rest = documents - counted.total()
        rows = tuple((number, *counts) for counts, number in sorted(counted.items()))
        return ((rest, 0, 0, 0), *rows) if rest > 0 else rows

    def everything(self) -> tuple[dict[str, tuple[Row, ...]], dict[str, tuple[Row, ...]]]:
        """Rows by scorer and by "<scorer>/<tag>" of all documents added; official has those it counts."""
        by_scorer = {scorer: self.rows(scorer, 0 if scorer == "official" else self.documents) for scorer in SCORED}
        return by_scorer, {key: self.rows(key, self.documents) for key in self.tag_keys()}

    def tag_keys(self) -> list[str]:
        """The keys with a tag, in order."""
        return sorted(key for key in self._documents if "/" in key)

    def entities(self, scorer: str) -> int:
        """Gold entities and found ones together, by this scorer."""
        return sum(
            number * (2 * tp + fp + fn) for (tp, fp, fn), number in self._documents.get(scorer, Counter()).items()
        )
