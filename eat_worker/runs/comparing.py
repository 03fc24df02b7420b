"""Two runs on the same documents: the difference of their figures, and the sentences that made it.

Documents are paired by their content; what only one of the runs has scored takes no part.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eat_worker.errors import NotFound
from eat_worker.metrics.intervals import Comparison, paired_bootstrap
from eat_worker.metrics.summary import SCORERS, SEED, percent
from eat_worker.metrics.tally import with_partial
from eat_worker.runs.opening import open_existing
from eat_worker.settings import Settings
from eat_worker.storage.pairs import PairedCounts, PairedRuns
from eat_worker.storage.values import Run

ALL = "all"
_ZERO = (0, 0, 0)
_NAMES = {counted: name for name, counted in SCORERS.items()}
_Six = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """One scorer on one data set, language and type; each of the three may be "all". F1 in [0, 1] within `found`."""

    dataset: str
    lang: str
    type: str
    scorer: str
    documents: int
    found: Comparison

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat compare --json`."""
        figures = asdict(self.found)
        percentages = {name: percent(figures[name]) for name in ("first", "second", "delta", "low", "high")}
        head = {name: getattr(self, name) for name in ("dataset", "lang", "type", "scorer", "documents")}
        return {**head, **figures, **percentages}


@dataclass(frozen=True, slots=True)
class Compared:
    """Two runs and their differences. `settings` has those that differ: name, the first's value, the second's."""

    first: str
    second: str
    settings: Mapping[str, tuple[Any, Any]]
    rows: tuple[Difference, ...]
    found: PairedRuns

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat compare --json`."""
        found = self.found
        return {
            "first": self.first,
            "second": self.second,
            "settings": {name: list(values) for name, values in self.settings.items()},
            **{name: getattr(found, name) for name in ("documents", "only_first", "only_second")},
            "rows": [row.to_json() for row in self.rows],
            "flips": dict(zip(("first", "second"), found.flips, strict=True)),
            "flipped": [asdict(one) for one in found.flipped],
        }


def compare(settings: Settings, first: str, second: str, *, flipped: int = 20) -> Compared:
    """The difference of two runs, first minus second. Raises NotFound for a run, and when they share no document."""
    with open_existing(settings) as store:
        runs = [store.runs.get_run(name) for name in (first, second)]
        found = store.reading.paired_runs(runs[0].id, runs[1].id, flipped)
    left, right = (run.spec.name for run in runs)
    if not found.documents:
        raise NotFound(f"the runs {left} and {right} have scored no document with gold that is the same in both")
    return Compared(left, right, _other_settings(*runs), tuple(_differences(found.counts)), found)


def _other_settings(first: Run, second: Run) -> dict[str, tuple[Any, Any]]:
    left, right = ({"fingerprint": run.spec.fingerprint, **run.spec.config.to_json()} for run in (first, second))
    names = sorted(left.keys() | right.keys())
    return {name: (left.get(name), right.get(name)) for name in names if left.get(name) != right.get(name)}


def _differences(pairs: Sequence[PairedCounts]) -> Iterator[Difference]:
    groups: defaultdict[tuple[str, str], list[PairedCounts]] = defaultdict(list)
    for pair in pairs:
        groups[pair.dataset, pair.lang].append(pair)
    together = {(ALL, ALL): list(pairs)} if len(groups) > 1 else {}
    for (dataset, lang), group in {**groups, **together}.items():
        documents = sum(pair.documents for pair in group)
        for key, rows in _rows_by_key(group, documents).items():
            found = paired_bootstrap([(number, *counts) for counts, number in rows.items()], seed=SEED)
            scorer, _, tag = key.partition("/")
            if found is not None:
                yield Difference(dataset, lang, tag or ALL, _NAMES[scorer], documents, found)


def _rows_by_key(group: Sequence[PairedCounts], documents: int) -> dict[str, Counter[_Six]]:
    """Documents by the counts of both runs, for each scorer and each of its tags; all tags of a scorer come first."""
    rows: defaultdict[str, Counter[_Six]] = defaultdict(Counter)
    for pair in group:
        first, second = (with_partial(side) for side in (pair.first, pair.second))
        for key in first.keys() | second.keys():
            rows[key][(*first.get(key, _ZERO), *second.get(key, _ZERO))] += pair.documents
    for key, counted in rows.items():
        if key != "official":  # it leaves out the documents without gold entities
            counted[(*_ZERO, *_ZERO)] += documents - counted.total()
    order = [scorer for scorer in SCORERS.values() if scorer in _counted(group)]
    kept = [key for key in rows if key.partition("/")[0] in order]
    return {key: rows[key] for key in sorted(kept, key=lambda key: (order.index(key.partition("/")[0]), key))}


def _counted(group: Sequence[PairedCounts]) -> set[str]:
    """The scorers that both runs know: what was scored by an older version has no lenient counts."""
    sides = [[{key.partition("/")[0] for key in side} for side in (pair.first, pair.second)] for pair in group]
    old = any("span" in side and "lenient" not in side for pair in sides for side in pair)
    return {"strict", "official", "span", *(() if old else ("lenient", "partial"))}
