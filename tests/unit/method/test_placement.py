from __future__ import annotations

from functools import partial

from eat_worker.method.document import Outcome, Span
from eat_worker.method.matching import match
from eat_worker.method.placement import place_together

TEXT = "In New York, the New York Times and New York"


def placed(*wanted: tuple[str, float]) -> list[Span | None]:
    return [one.span for one in place_together([(words, sure, partial(match, words, TEXT)) for words, sure in wanted])]


def test_the_longest_name_chooses_first_whatever_the_order() -> None:
    assert placed(("New York", 1.0), ("New York Times", 0.1)) == [Span(3, 11), Span(17, 31)]
    assert placed(("York Times", 0.5), ("New York Times", 0.1), ("New York", 1.0)) == [None, Span(17, 31), Span(3, 11)]


def test_equal_names_take_their_places_from_the_left() -> None:
    assert placed(("New York", 0.5), ("New York", 0.5), ("New York", 0.5)) == [Span(3, 11), Span(17, 25), Span(36, 44)]


def test_of_equally_long_names_the_surest_chooses_first() -> None:
    assert placed(("New York", 0.2), ("New York", 0.9)) == [Span(17, 25), Span(3, 11)]


def test_who_finds_no_place_says_so_in_its_own_line() -> None:
    found = place_together([("Oslo", 1.0, partial(match, "Oslo", TEXT)), ("York", 1.0, partial(match, "York", TEXT))])
    assert [(one.outcome, one.span) for one in found] == [(Outcome.NOT_FOUND, None), (Outcome.EXACT, Span(7, 11))]
