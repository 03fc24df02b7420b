from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eat_worker.method.chat import Chat
from eat_worker.method.config import MethodConfig
from eat_worker.method.direct import annotate_directly, projected_entities
from eat_worker.method.document import Alignment, Document, EnglishEntity, Outcome, RoundOutput, Span, Stage

CONFIG = MethodConfig(method="direct", adapter_stages=("direct",), extract_tokens=9)
RUSSIAN = Document("Анна едет в Москву, Анна дома", "ru")


def test_the_model_is_asked_once_about_the_text(table: Callable[..., Any]) -> None:
    ask = table({Stage.DIRECT: ["(PER, Анна)"]})
    outputs: list[RoundOutput] = []
    ledger = annotate_directly(RUSSIAN, Chat(Stage.DIRECT, CONFIG, ask, "7", record=outputs.append))
    assert ledger == projected_entities("(PER, Анна)", RUSSIAN, CONFIG)
    assert [(one.stage, one.entity, one.round, one.output) for one in outputs] == [(Stage.DIRECT, -1, 1, "(PER, Анна)")]
    (request,) = ask.requests
    assert (request.session, request.limits.max_new_tokens, request.adapter, request.last) == (
        "7/direct",
        9,
        True,
        True,
    )
    assert RUSSIAN.text in request.messages[-1].content


def test_named_entities_are_placed_in_the_text_in_order() -> None:
    ledger = projected_entities("(PER, Анна) (LOC, Москва) (PER, Анна)", RUSSIAN, CONFIG)
    assert ledger == (
        Alignment(EnglishEntity(0, "Анна", "PER"), Outcome.EXACT, Span(0, 4), "direct", "Анна"),
        Alignment(EnglishEntity(1, "Москва", "LOC"), Outcome.INFLECTED, Span(12, 18), "direct", "Москва"),
        Alignment(EnglishEntity(2, "Анна", "PER"), Outcome.EXACT, Span(20, 24), "direct", "Анна"),
    )


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("(LOC, Берлин)", Outcome.NOT_FOUND),
        ("(DATE, Москву)", Outcome.UNKNOWN_TAG),
        ("(Москву)", Outcome.PARSE_ERROR),
        ("(ORG, 42)", Outcome.NOT_FOUND),
    ],
)
def test_what_cannot_be_placed_says_why(answer: str, outcome: Outcome) -> None:
    (line,) = projected_entities(answer, RUSSIAN, CONFIG)
    assert (line.outcome, line.span) == (outcome, None)


def test_a_name_that_is_said_too_often_is_in_the_ledger() -> None:
    ledger = projected_entities("(LOC, Москву) (LOC, Москву)", RUSSIAN, CONFIG)
    assert [(line.outcome, line.span) for line in ledger] == [
        (Outcome.EXACT, Span(12, 18)),
        (Outcome.REPEATED, None),
    ]


def test_names_may_be_written_small_in_other_languages() -> None:
    document = Document("я живу в москве", "ru")
    (line,) = projected_entities("(LOC, москве)", document, CONFIG)
    assert (line.outcome, line.span, line.english.unusable) == (Outcome.EXACT, Span(9, 15), None)


def test_nothing_named_is_nothing_placed() -> None:
    assert projected_entities("none", RUSSIAN, CONFIG) == ()


def test_the_official_matcher_can_be_asked_for() -> None:
    config = MethodConfig(method="direct", matcher="official")
    (line,) = projected_entities("(PER, Анна Мария)", RUSSIAN, config)
    assert (line.outcome, line.span) == (Outcome.PARTIAL, Span(0, 4))
