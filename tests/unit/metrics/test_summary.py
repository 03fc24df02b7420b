"""Figures from grouped counts."""

import pytest

from eat_worker.metrics.intervals import bootstrap_f1
from eat_worker.metrics.summary import Figure, figure, tag_figures


def test_a_figure_pools_the_documents_and_carries_its_interval():
    rows = [(3, 2, 1, 0), (1, 0, 0, 3), (6, 0, 0, 0)]  # tp 6, fp 3, fn 3
    found = figure(rows, seed=1)
    assert (found.f1, found.precision, found.recall) == (pytest.approx(2 / 3),) * 3
    assert (found.low, found.high) == bootstrap_f1(rows, 1000, 1)


def test_the_seed_is_the_intervals():
    rows = [(30, 2, 1, 0), (70, 0, 1, 3)]
    assert figure(rows, seed=1) == figure(rows, seed=1)
    assert figure(rows, seed=1) != figure(rows, seed=2)
    assert figure(rows, resamples=50) != figure(rows, resamples=60)


def test_no_documents_have_no_figure():
    assert figure([]) is None


def test_a_scorers_tags_are_taken_from_the_sums_in_alphabetical_order():
    sums = {"strict/PER": (1, 1, 0), "span/PER": (9, 9, 9), "strict/LOC": (0, 0, 0), "strictly/ORG": (1, 0, 0)}
    assert list(tag_figures(sums, "strict").items()) == [
        ("LOC", Figure(0.0, 0.0, 0.0)),
        ("PER", Figure(pytest.approx(2 / 3), 0.5, 1.0)),
    ]
    assert tag_figures(sums, "official") == {}
