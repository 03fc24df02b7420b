from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eat_worker.method.annotate import annotate
from eat_worker.method.combine import all_sure, combined, listed_entities
from eat_worker.method.config import TUNED_STAGES, MethodConfig
from eat_worker.method.document import Alignment, Document, EnglishEntity, Outcome, Span, Stage
from eat_worker.method.names import Named
from eat_worker.method.rounds import RoundResult

CONFIG = MethodConfig(prompts="tuned", adapter_stages=TUNED_STAGES, back_translation=False, kept_above=0.6, cascade=0.5)
SEOUL = Named("서울", "LOC", Span(0, 2), 0.8)
SAMSUNG = Named("삼성", "ORG", Span(4, 6), 0.04)
BUSAN = EnglishEntity(0, "Busan", "LOC", Span(0, 5))


def aligned(start: int, end: int, tag: str = "LOC", confidence: float | None = 0.9) -> Alignment:
    entity = EnglishEntity(0, "Busan", tag, Span(0, 5))
    return Alignment(entity, Outcome.EXACT, Span(start, end), "constrained", "부산", confidence)


def test_a_name_of_the_text_is_a_line_of_the_ledger_and_an_improbable_one_is_unsure() -> None:
    assert list(listed_entities([SEOUL, SAMSUNG], CONFIG, first=3)) == [
        Alignment(EnglishEntity(3, "서울", "LOC"), Outcome.EXACT, Span(0, 2), "direct", "서울", 0.8),
        Alignment(EnglishEntity(4, "삼성", "ORG"), Outcome.UNSURE, None, "direct", "삼성", 0.04),
    ]
    (unknown,) = listed_entities([Named("서울", "LOC", Span(0, 2), None)], CONFIG)
    assert unknown.span == Span(0, 2)


def test_both_routes_on_the_same_words_are_one_entity_as_sure_as_the_surer() -> None:
    (line,) = combined([SEOUL], [aligned(0, 2, confidence=0.5)], CONFIG)
    assert (line.span, line.english.mention, line.confidence) == (Span(0, 2), "Busan", 0.8)
    (line,) = combined([Named("삼성", "LOC", Span(0, 2), 0.01)], [aligned(0, 2, confidence=0.3)], CONFIG)
    assert (line.span, line.confidence) == (Span(0, 2), 0.3)
    (line,) = combined([Named("삼성", "LOC", Span(0, 2), None)], [aligned(0, 2, confidence=None)], CONFIG)
    assert (line.span, line.confidence) == (Span(0, 2), None)


@pytest.mark.parametrize("english", [aligned(1, 3), aligned(0, 2, "ORG")])
def test_a_name_of_the_text_outvotes_an_english_one_on_some_of_its_words(english: Alignment) -> None:
    first, second = combined([SEOUL], [english], CONFIG)
    assert (first.outcome, first.span, first.english) == (Outcome.OUTVOTED, None, english.english)
    assert (second.span, second.english.index, second.via) == (Span(0, 2), 1, "direct")


def test_an_unsure_name_of_the_text_outvotes_nobody() -> None:
    english, name = combined([SAMSUNG], [aligned(5, 7)], CONFIG)
    assert (english.span, name.outcome) == (Span(5, 7), Outcome.UNSURE)


@pytest.mark.parametrize(
    ("confidence", "outcome"), [(0.6, Outcome.EXACT), (0.59, Outcome.UNSURE), (None, Outcome.EXACT)]
)
def test_an_english_entity_on_words_of_its_own_must_be_sure(confidence: float | None, outcome: Outcome) -> None:
    english, _ = combined([SEOUL], [aligned(4, 6, confidence=confidence)], CONFIG)
    assert (english.outcome, english.span is None) == (outcome, outcome is Outcome.UNSURE)


def test_what_has_no_place_keeps_its_reason() -> None:
    lost = Alignment(BUSAN, Outcome.NOT_FOUND, None, "constrained", "부산", 0.9)
    assert combined([], [lost], CONFIG) == (lost,)


def test_a_document_is_sure_when_each_of_its_names_is() -> None:
    assert all_sure([SEOUL], CONFIG)
    assert all_sure([], CONFIG)
    assert not all_sure([SEOUL, SAMSUNG], CONFIG)
    assert not all_sure([Named("서울", "LOC", Span(0, 2), None)], CONFIG)


TEXT = Document("서울, 삼성.", "ko")


def test_a_sure_document_is_not_translated(table: Callable[..., Any]) -> None:
    ask = table({Stage.DIRECT: [RoundResult("서울 (LOC)", line_logprobs=(-0.1,))]})
    found = annotate(TEXT, ask, CONFIG, session="7")
    assert [(line.span, line.via) for line in found.alignments] == [(Span(0, 2), "direct")]
    assert (found.english, ask.is_spent) == (None, True)


def test_an_unsure_document_asks_the_english_side(table: Callable[..., Any]) -> None:
    ask = table(
        {
            Stage.DIRECT: [RoundResult("서울 (LOC)", line_logprobs=(-1.5,))],
            Stage.FORWARD: ["Seoul, Samsung."],
            Stage.EXTRACT: ["Seoul (LOC)\nSamsung (ORG)"],
            Stage.BACKWARD: [
                RoundResult("서울", generated_tokens=1, logprob=-0.1),
                RoundResult("삼성", generated_tokens=1, logprob=-0.2),
            ],
        }
    )
    found = annotate(TEXT, ask, CONFIG, session="7")
    assert [(line.span, line.english.mention, line.english.tag) for line in found.alignments] == [
        (Span(0, 2), "Seoul", "LOC"),
        (Span(4, 6), "Samsung", "ORG"),
    ]
    assert ask.is_spent
    contents = [request.messages[-1].content for request in ask.requests]
    assert contents[:3] == [TEXT.text, f"Translate into English.\n{TEXT.text}", "Seoul, Samsung."]
    assert [request.adapter for request in ask.requests] == [True, False, True, False, False]


def test_a_back_translation_needs_the_english_side_however_sure_the_names_are(table: Callable[..., Any]) -> None:
    ask = table(
        {
            Stage.DIRECT: [RoundResult("서울 (LOC)", line_logprobs=(0.0,))],
            Stage.FORWARD: ["Seoul, Samsung."],
            Stage.EXTRACT: ["none"],
            Stage.BACK_TRANSLATION: ["1", "2", "서울, 삼성."],
        }
    )
    found = annotate(TEXT, ask, MethodConfig(prompts="tuned", adapter_stages=TUNED_STAGES), session="7")
    assert ([line.span for line in found.alignments], found.back_translation) == ([Span(0, 2)], "서울, 삼성.")
    assert ask.is_spent
