"""Bootstrap intervals: exactness of the grouped draw, seeds, and the paired test."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eat_worker.metrics.intervals import Comparison, bootstrap_f1, paired_bootstrap

ROWS = [(40, 1, 0, 0), (30, 0, 1, 1), (20, 2, 1, 0), (10, 0, 0, 0)]


def test_no_documents_have_no_interval():
    assert bootstrap_f1([]) is None
    assert bootstrap_f1([(0, 1, 2, 3)]) is None
    assert paired_bootstrap([]) is None


def test_documents_that_are_all_alike_leave_no_doubt():
    assert bootstrap_f1([(50, 1, 1, 1)]) == (0.5, 0.5)


def test_documents_without_anything_to_find_have_no_interval_and_not_one_at_zero():
    assert bootstrap_f1([(50, 0, 0, 0)]) is None
    assert paired_bootstrap([(50, 0, 0, 0, 0, 0, 0)]) is None
    assert paired_bootstrap([(50, 0, 0, 0, 0, 1, 0)]) is None  # the first system has no F1


def test_a_resample_without_anything_to_find_is_left_out():
    # 0.37 of the resamples miss the only document that counts; as F1 of 0 they would be the lower bound
    assert bootstrap_f1([(1, 3, 0, 0), (9, 0, 0, 0)]) == (1.0, 1.0)


def test_one_right_and_one_wrong_document_span_everything():
    assert bootstrap_f1([(1, 1, 0, 0), (1, 0, 1, 1)]) == (0.0, 1.0)


def test_the_interval_holds_the_figure_and_narrows_with_the_level():
    low, high = bootstrap_f1(ROWS)
    assert low < 160 / 240 < high  # tp 80, fp 50, fn 30
    inner = bootstrap_f1(ROWS, level=0.5)
    assert low < inner[0] < inner[1] < high


def test_the_seed_decides_and_the_order_and_grouping_of_rows_do_not():
    split = [(10, 1, 0, 0), *ROWS[:0:-1], (30, 1, 0, 0)]
    assert bootstrap_f1(ROWS, seed=7) == bootstrap_f1(split, seed=7)
    assert bootstrap_f1(ROWS, seed=7) != bootstrap_f1(ROWS, seed=8)


def test_it_agrees_with_drawing_documents_one_by_one():
    documents = [row[1:] for row in ROWS for _ in range(row[0])]
    draw = random.Random(5)
    scores = []
    for _ in range(4000):
        tp, fp, fn = (sum(column) for column in zip(*draw.choices(documents, k=100), strict=True))
        scores.append(2 * tp / (2 * tp + fp + fn))
    expected = np.quantile(scores, [0.025, 0.975])
    assert bootstrap_f1(ROWS, resamples=4000, seed=5) == pytest.approx(tuple(expected), abs=0.01)


def test_many_different_documents_are_drawn_in_batches_of_bounded_size():
    rows = [(1, place, 1, 0) for place in range(3000)]  # 1,000 resamples of 3,000 groups: four batches
    low, high = bootstrap_f1(rows)
    assert 0.9993 < low < high < 0.9997


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 4), min_size=1, max_size=5), st.integers(0, 99))
def test_an_interval_lies_within_zero_and_one(rows, seed):
    interval = bootstrap_f1(rows, resamples=20, seed=seed)
    assert interval is None or 0.0 <= interval[0] <= interval[1] <= 1.0


def test_equal_systems_do_not_differ():
    found = paired_bootstrap([(60, 1, 0, 0, 1, 0, 0), (40, 0, 1, 1, 0, 1, 1)])
    assert found == Comparison(first=0.6, second=0.6, delta=0.0, low=0.0, high=0.0, p_value=1.0, p_randomisation=1.0)


def test_a_system_that_is_always_better_has_the_smallest_p_value_there_is():
    found = paired_bootstrap([(50, 1, 0, 0, 0, 0, 1), (50, 1, 0, 0, 1, 0, 0)])
    assert (found.first, found.second) == (1.0, pytest.approx(2 / 3))
    assert 0 < found.low < found.delta < found.high < 1
    assert found.p_value == 2 / 1001
    assert found.p_randomisation == 1 / 1001


def test_approximate_randomisation_agrees_with_swapping_documents_one_by_one():
    rows = [(6, 1, 0, 0, 0, 1, 1), (3, 0, 1, 1, 1, 0, 0), (9, 1, 0, 1, 1, 1, 0)]
    documents = [(row[1:4], row[4:]) for row in rows for _ in range(row[0])]

    def difference(pairs):
        (tp, fp, fn), (tp2, fp2, fn2) = ([sum(c) for c in zip(*side, strict=True)] for side in zip(*pairs, strict=True))
        return 2 * tp / (2 * tp + fp + fn) - 2 * tp2 / (2 * tp2 + fp2 + fn2)

    draw, observed, larger = random.Random(3), difference(documents), 0
    for _ in range(3000):
        swapped = [pair if draw.random() < 0.5 else pair[::-1] for pair in documents]
        larger += abs(difference(swapped)) >= abs(observed) - 1e-12
    found = paired_bootstrap(rows, resamples=3000).p_randomisation
    assert found == pytest.approx(larger / 3000, abs=0.03)
    assert 0.2 < found < 0.9


@given(st.lists(st.tuples(st.integers(1, 5), *[st.integers(0, 3)] * 6), min_size=1, max_size=5))
def test_a_p_value_is_a_share_and_never_zero(rows):
    found = paired_bootstrap(rows, resamples=20)
    if found is not None:
        assert 1 / 21 <= found.p_randomisation <= 1.0
        assert 2 / 21 <= found.p_value <= 1.0


def test_exchanging_the_systems_turns_the_difference_round():
    there = paired_bootstrap([(5, 1, 0, 0, 0, 1, 1), (3, 0, 1, 1, 1, 0, 0), (9, 1, 0, 1, 1, 1, 0)], seed=3)
    back = paired_bootstrap(
        [(5, 0, 1, 1, 1, 0, 0), (3, 1, 0, 0, 0, 1, 1), (9, 1, 1, 0, 1, 0, 1)], seed=4, resamples=9000
    )
    assert back.delta == -there.delta
    assert back.low == pytest.approx(-there.high, abs=0.05)
    assert 0.05 < there.p_value == pytest.approx(back.p_value, abs=0.1)
