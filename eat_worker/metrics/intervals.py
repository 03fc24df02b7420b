"""Seeded bootstrap intervals for micro F1, and the paired test that tells two systems apart.

The unit that is resampled is the document. Documents with equal counts are interchangeable, so drawing n of n documents
with replacement is one multinomial draw over the groups of equals: exact, and 100,000 documents take milliseconds.
Knows counts only; where they come from and which scorer made them is the caller's to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

Row = tuple[int, int, int, int]
"""Documents, and tp, fp, fn of each one of them."""

PairedRow = tuple[int, int, int, int, int, int, int]
"""Documents, and tp, fp, fn of each one under the first system, then under the second."""

_DRAWS_AT_ONCE = 1_000_000  # numbers of one batch of resamples: 8 MB, however many groups there are


@dataclass(frozen=True, slots=True)
class Comparison:
    """First system against second on the same documents. F1 and differences in [0, 1] and [-1, 1].

    `delta` is first minus second with its bootstrap interval. Both p-values are two-sided for "there is no
    difference": `p_value` of the bootstrap, `p_randomisation` of approximate randomisation.
    """

    first: float
    second: float
    delta: float
    low: float
    high: float
    p_value: float
    p_randomisation: float


def bootstrap_f1(
    rows: Sequence[Row], resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float] | None:
    """Percentile interval of micro F1 in [0, 1], rows being (documents, tp, fp, fn). None without a single count.

    The same for any order and any grouping of the rows. Resamples in which nothing was to be found and nothing was
    found have no F1 and are left out.
    """
    import numpy as np

    counts = _grouped([(row[0], row[1:]) for row in rows])
    if not any(sum(values) for values, _ in counts):
        return None
    scores = np.concatenate([_f1(sums) for sums in _resampled(counts, resamples, seed)])
    return _percentiles(scores, level)


def paired_bootstrap(
    rows: Sequence[PairedRow], resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> Comparison | None:
    """Both systems resampled on the same documents: the difference of their micro F1. None where either has no F1.

    The p-value is twice the smaller share of resamples on either side of zero, zero itself on both, each share with
    one resample added so that it never is 0: with 1,000 resamples it cannot fall below 0.002.
    """
    import numpy as np

    counts = _grouped([(row[0], row[1:]) for row in rows])
    if not all(any(sum(values[half : half + 3]) for values, _ in counts) for half in (0, 3)):
        return None
    deltas = np.concatenate([_f1(sums[:, :3]) - _f1(sums[:, 3:]) for sums in _resampled(counts, resamples, seed)])
    observed = sum(np.asarray(values, dtype=np.int64) * documents for values, documents in counts)
    first, second = (float(_f1(half)[0]) for half in np.split(np.reshape(observed, (1, 6)), 2, axis=1))
    sides = (int(np.sum(deltas <= 0)), int(np.sum(deltas >= 0)))
    low, high = _percentiles(deltas, level)
    return Comparison(
        first=first,
        second=second,
        delta=first - second,
        low=low,
        high=high,
        p_value=min(1.0, 2 * (min(sides) + 1) / (resamples + 1)),
        p_randomisation=_approximate_randomisation(counts, first - second, resamples, seed),
    )


def _approximate_randomisation(groups: _Groups, observed: float, resamples: int, seed: int) -> float:
    """Share of `resamples` in which swapping the systems by coin flip, document by document, makes a difference as
    large as the observed one; one resample is added, so that it never is 0 (Noreen 1989)."""
    import numpy as np

    generator = np.random.default_rng(seed)
    values = np.array([values for values, _ in groups], dtype=np.int64)  # (groups, counts)
    documents = np.array([documents for _, documents in groups], dtype=np.int64)  # (groups,)
    change = values[:, 3:] - values[:, :3]  # what the first system gains when a document is swapped
    first, second = documents @ values[:, :3], documents @ values[:, 3:]
    batch = max(1, _DRAWS_AT_ONCE // len(groups))
    as_large = 0
    for done in range(0, resamples, batch):
        swapped = generator.binomial(documents, 0.5, size=(min(batch, resamples - done), len(groups))) @ change
        deltas = _f1(first + swapped) - _f1(second - swapped)
        as_large += int(np.sum(np.abs(deltas) >= abs(observed) - 1e-12))  # sums in another order differ in the last bit
    return (as_large + 1) / (resamples + 1)


_Groups = list[tuple[tuple[int, ...], int]]  # counts of one document, how many documents have them


def _grouped(rows: Sequence[tuple[int, tuple[int, ...]]]) -> _Groups:
    groups: Counter[tuple[int, ...]] = Counter()
    for documents, values in rows:
        groups[values] += documents
    return sorted((values, documents) for values, documents in groups.items() if documents > 0)


def _resampled(groups: _Groups, resamples: int, seed: int) -> Iterator[NDArray[int64]]:
    """The summed counts of every resample: batches of (resamples, counts) int64."""
    import numpy as np

    generator = np.random.default_rng(seed)
    values = np.array([values for values, _ in groups], dtype=np.int64)  # (groups, counts)
    documents = np.array([documents for _, documents in groups], dtype=np.int64)  # (groups,)
    total = int(documents.sum())
    batch = max(1, _DRAWS_AT_ONCE // len(groups))
    for done in range(0, resamples, batch):
        drawn = generator.multinomial(total, documents / total, size=min(batch, resamples - done))
        yield drawn @ values


def _f1(sums: NDArray[int64]) -> NDArray[float64]:
    """Micro F1 of each row of (tp, fp, fn); NaN where it is undefined."""
    import numpy as np

    doubled = 2.0 * sums[:, 0]
    whole = doubled + sums[:, 1] + sums[:, 2]
    scores = np.full_like(doubled, np.nan)
    np.divide(doubled, whole, out=scores, where=whole > 0)
    return scores


def _percentiles(values: NDArray[float64], level: float) -> tuple[float, float]:
    import numpy as np

    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
