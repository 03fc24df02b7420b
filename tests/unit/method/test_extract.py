from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eat_worker.method.chat import Chat
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import TAGS, EnglishEntity, Outcome, RoundOutput, Span, Stage
from eat_worker.method.extract import extract, parse_entities
from eat_worker.method.prompts import RESTATED
from eat_worker.method.rounds import Message

Row = tuple[str, str, tuple[int, int] | None, Outcome | None]


def rows(answer: str, english: str) -> list[Row]:
    found = parse_entities(answer, english, TAGS)
    assert [entity.index for entity in found] == list(range(len(found)))
    return [
        (one.tag, one.mention, None if one.span is None else (one.span.start, one.span.end), one.unusable)
        for one in found
    ]


def test_the_extractor_is_asked_once_about_the_english_sentence(table: Callable[..., Any]) -> None:
    ask = table({Stage.EXTRACT: ["(LOC, Oslo)"]})
    config = MethodConfig(extract_tokens=9, adapter_stages=("extract",))
    outputs: list[RoundOutput] = []
    found = extract("In Oslo.", Chat(Stage.EXTRACT, config, ask, "7", record=outputs.append))
    assert found == (EnglishEntity(0, "Oslo", "LOC", Span(3, 7)),)
    assert [(one.stage, one.entity, one.round, one.output) for one in outputs] == [
        (Stage.EXTRACT, -1, 1, "(LOC, Oslo)")
    ]
    (request,) = ask.requests
    assert (request.session, request.limits.max_new_tokens, request.adapter, request.last) == (
        "7/extract",
        9,
        True,
        True,
    )
    assert request.messages[: request.shared] == RESTATED.opening(Stage.EXTRACT)
    assert len(request.messages) == request.shared + 1
    assert "In Oslo." in request.messages[-1].content


@pytest.mark.parametrize("extractor", ["crf", "flan_t5", "token_classification"])
def test_an_extractor_that_is_no_chat_reads_the_sentence_alone(table: Callable[..., Any], extractor: str) -> None:
    ask = table({Stage.EXTRACT: ["none"]})
    assert extract("In Oslo.", Chat(Stage.EXTRACT, MethodConfig(extractor=extractor), ask, "7")) == ()
    (request,) = ask.requests
    assert request.messages == (Message("user", "In Oslo."),)


@pytest.mark.parametrize(
    ("answer", "english", "expected"),
    [
        ("none", "It rains.", []),
        ("", "It rains.", []),
        ("(PER, Ann) (LOC, Oslo)", "Ann in Oslo", [("PER", "Ann", (0, 3), None), ("LOC", "Oslo", (7, 11), None)]),
        ("(PER,Ann)\n(LOC,Oslo)", "Ann in Oslo", [("PER", "Ann", (0, 3), None), ("LOC", "Oslo", (7, 11), None)]),
        ("(ORG, Acme, Inc.)", "At Acme, Inc. today", [("ORG", "Acme, Inc.", (3, 13), None)]),
        ("(PER, J. (Jack) Smith)", "J. (Jack) Smith", [("PER", "J. (Jack) Smith", (0, 15), None)]),
        ("( loc , Oslo )", "Oslo", [("LOC", "Oslo", (0, 4), None)]),
        ("(LOC, Oslo", "Oslo", [("LOC", "Oslo", (0, 4), None)]),
        ("(PER, Ann (LOC, Oslo)", "Ann in Oslo", [("PER", "Ann", (0, 3), None), ("LOC", "Oslo", (7, 11), None)]),
        ("(PER, Ann\n(LOC, Oslo)", "Ann in Oslo", [("PER", "Ann", (0, 3), None), ("LOC", "Oslo", (7, 11), None)]),
        ("LOC, Oslo) (PER, Ann)", "Ann in Oslo", [("PER", "Ann", (0, 3), None)]),
    ],
)
def test_entities_are_read_with_their_places(answer: str, english: str, expected: list[Row]) -> None:
    assert rows(answer, english) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("(Oslo)", ("OSLO", "Oslo", None, Outcome.PARSE_ERROR)),
        ("()", ("", "", None, Outcome.PARSE_ERROR)),
        ("(PER, )", ("PER", "PER,", None, Outcome.PARSE_ERROR)),
        ("(DATE, Monday)", ("DATE", "Monday", None, Outcome.UNKNOWN_TAG)),
        ("(, Oslo)", ("", "Oslo", None, Outcome.UNKNOWN_TAG)),
        ("(LOC, Bergen)", ("LOC", "Bergen", None, Outcome.NOT_IN_TRANSLATION)),
        ("(PER, reporters)", ("PER", "reporters", None, Outcome.NOT_A_NAME)),
        ("(PER, He)", ("PER", "He", None, Outcome.NOT_A_NAME)),
        ("(ORG, 42)", ("ORG", "42", None, Outcome.NOT_A_NAME)),
        ("(ORG, %)", ("ORG", "%", None, Outcome.NOT_A_NAME)),
        ("(ORG, 7th)", ("ORG", "7th", None, Outcome.NOT_A_NAME)),
    ],
)
def test_what_cannot_be_used_is_kept_with_its_fault(answer: str, expected: Row) -> None:
    assert rows(answer, "He met reporters in Oslo on Monday, the 7th, with 42 %.") == [expected]


@pytest.mark.parametrize("words", ["iPhone", "Oslo", "al-Qaeda", "G7", "1. FC Köln", "서울"])
def test_a_name_has_a_capital_unless_its_script_has_none(words: str) -> None:
    assert rows(f"(ORG, {words})", words) == [("ORG", words, (0, len(words)), None)]


def test_each_mention_has_a_place_of_its_own() -> None:
    english = "Iran and Iranian oil, Iran."
    assert rows("(LOC, Iran) (LOC, Iran)", english) == [
        ("LOC", "Iran", (0, 4), None),
        ("LOC", "Iran", (22, 26), None),
    ]


def test_one_mention_too_many_is_a_repetition_and_no_part_of_a_word() -> None:
    assert rows("(LOC, Iran) (LOC, Iran) (ORG, Iran)", "Iran sells Iranian oil.") == [
        ("LOC", "Iran", (0, 4), None),
        ("LOC", "Iran", None, Outcome.REPEATED),
        ("ORG", "Iran", None, Outcome.REPEATED),
    ]


def test_what_the_translation_never_said_is_not_repeated() -> None:
    assert rows("(LOC, Oslo) (LOC, Oslo)", "It rains.") == [("LOC", "Oslo", None, Outcome.NOT_IN_TRANSLATION)] * 2


def test_a_part_of_a_word_is_better_than_nothing() -> None:
    assert rows("(LOC, Iran)", "The Iranians left.") == [("LOC", "Iran", (4, 8), None)]


def test_whole_words_are_preferred_to_parts_of_words() -> None:
    assert rows("(PER, Ann)", "Hanna, Annika and Ann") == [("PER", "Ann", (18, 21), None)]


def test_places_count_code_points_of_the_translation() -> None:
    assert parse_entities("(LOC, Oslo)", "😀 Oslo", TAGS) == (EnglishEntity(0, "Oslo", "LOC", Span(2, 6)),)


@settings(deadline=None)
@given(st.text(st.sampled_from("() ,\nPERLOCabAn"), max_size=40), st.text(st.sampled_from("abAn ,"), max_size=20))
def test_any_answer_is_read_and_every_place_holds_the_words(answer: str, english: str) -> None:
    for index, entity in enumerate(parse_entities(answer, english, TAGS)):
        assert entity.index == index
        assert (entity.span is None) == (entity.unusable is not None)
        if entity.span is not None:
            assert english[entity.span.start : entity.span.end] == entity.mention
            assert entity.mention


def test_a_runaway_answer_costs_no_seconds() -> None:
    first, *others = parse_entities("(PER, Ann " * 400, "Ann", TAGS)
    assert first.span == Span(0, 3)
    assert [entity.unusable for entity in others] == [Outcome.REPEATED] * 399
    assert len(parse_entities("(" * 2000, "Ann", TAGS)) == 1
