"""Figures from grouped counts."""

import pytest

from eat_worker.metrics.f1 import counts_by_scorer
from eat_worker.metrics.intervals import bootstrap_f1
from eat_worker.metrics.summary import FalseAlarms, Figure, false_alarms, figure, figures, tag_figures


def test_a_figure_pools_the_documents_and_carries_its_interval():
    rows = [(3, 2, 1, 0), (1, 0, 0, 3), (6, 0, 0, 0)]  # tp 6, fp 3, fn 3
    found = figure(rows, seed=1)
    assert (found.f1, found.precision, found.recall) == (pytest.approx(2 / 3),) * 3
    assert (found.low, found.high) == bootstrap_f1(rows, 1000, 1)
    assert (found.support, found.found) == (9, 9)


def test_the_seed_is_the_intervals():
    rows = [(30, 2, 1, 0), (70, 0, 1, 3)]
    assert figure(rows, seed=1) == figure(rows, seed=1)
    assert figure(rows, seed=1) != figure(rows, seed=2)
    assert figure(rows, resamples=50) != figure(rows, resamples=60)


@pytest.mark.parametrize("rows", [[], [(5, 0, 0, 0)]])
def test_nothing_to_find_and_nothing_found_is_no_figure(rows):
    assert figure(rows) is None


def test_a_scorers_tags_are_taken_in_alphabetical_order_without_the_absent_ones():
    rows = {"strict/PER": [(1, 1, 1, 0)], "span/PER": [(9, 9, 9, 9)], "strict/LOC": [(1, 0, 0, 2)]}
    rows |= {"strict/ORG": [(7, 0, 0, 0)], "strictly/ORG": [(1, 1, 0, 0)]}
    assert list(tag_figures(rows, "strict").items()) == [
        ("LOC", Figure(0.0, 0.0, 0.0, 0.0, 0.0, 2, 0)),
        ("PER", Figure(pytest.approx(2 / 3), 0.5, 1.0, pytest.approx(2 / 3), pytest.approx(2 / 3), 1, 2)),
    ]
    assert tag_figures(rows, "official") == {}


def test_false_alarms_are_those_of_sentences_without_gold():
    rows = [(5, 0, 0, 0), (2, 0, 3, 0), (9, 1, 4, 0), (3, 0, 2, 1)]
    assert false_alarms(rows) == FalseAlarms(documents=7, alarmed=2, entities=6)


def test_all_figures_of_one_sentence():
    gold, found = [(0, 2, "PER"), (3, 5, "LOC")], [(0, 1, "PER"), (3, 5, "LOC")]
    counts = counts_by_scorer("ab cd", "de", gold, found)
    assert counts["span"] == {"PER": (0, 1, 1), "LOC": (1, 0, 0)}
    assert counts["lenient"] == {"PER": (1, 0, 0), "LOC": (1, 0, 0)}
    rows = {"strict": [(1, 1, 1, 1)], "official": [], "span": [(1, 1, 1, 1)]}
    rows |= {"lenient": [(1, 2, 0, 0)], "partial": [(1, 3, 1, 1)]}
    made = figures(rows, {"partial/PER": [(1, 1, 1, 1)]})
    assert (made.span.f1, made.span_lenient.f1, made.span_partial.f1) == (0.5, 1.0, 0.75)
    assert made.official is None
    assert made.false_alarms is None
    half = {"f1": 50.0, "precision": 50.0, "recall": 50.0, "low": 50.0, "high": 50.0, "support": 1, "found": 1}
    json = made.to_json()
    assert (json["span_partial"]["support"], json["span_partial"]["found"]) == (2, 2)
    assert json["per_tag"]["span_partial"] == {"PER": half}
    assert json["official"] is None
    assert json["false_alarms"] is None


def test_false_alarms_are_in_the_json():
    empty = {key: [] for key in ("strict", "official", "lenient", "partial")}
    assert figures({**empty, "span": [(2, 0, 1, 0)]}, {}).to_json()["false_alarms"] == {
        "documents": 2,
        "alarmed": 2,
        "entities": 2,
    }
