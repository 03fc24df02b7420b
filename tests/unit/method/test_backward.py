from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eat_worker.method.backward import align
from eat_worker.method.chat import Chat, Recorded, by_key
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import (
    ALIGNED,
    Alignment,
    Document,
    EnglishEntity,
    Outcome,
    RoundOutput,
    Span,
    Stage,
)
from eat_worker.method.prompts import RESTATED
from eat_worker.method.rounds import Ask, Request, RoundResult, SpanConstraint

KOREAN = Document("김민지는 서울에서 한국은행에 갔다", "ko")
GERMAN = Document("In Polen fließt der Po nicht, der Po fließt in Italien.", "de")
FREE: dict[str, Any] = {"alignment": "free"}


def names(*words: str) -> list[EnglishEntity]:
    return [EnglishEntity(index, word, "LOC", Span(0, 1)) for index, word in enumerate(words)]


def aligned(
    document: Document,
    entities: Sequence[EnglishEntity],
    ask: Ask,
    thought: str = "",
    *,
    recorded: Recorded | None = None,
    record: Callable[[RoundOutput], None] = lambda output: None,
    **config: Any,
) -> tuple[Alignment, ...]:
    chat = Chat(Stage.BACKWARD, MethodConfig(**config), ask, "7", recorded or {}, record)
    return align(document, entities, thought, chat)


def shown(ledger: Sequence[Alignment], document: Document) -> list[tuple[str, str, str | None]]:
    """Outcome, what found it, and the words of the text."""
    return [
        (str(line.outcome), line.via, None if line.span is None else document.text[line.span.start : line.span.end])
        for line in ledger
    ]


def test_nothing_is_asked_where_there_is_nothing_to_align(table: Callable[..., Any]) -> None:
    ask = table({})
    assert aligned(KOREAN, [], ask) == ()
    assert aligned(KOREAN, [], ask, **FREE) == ()


def test_the_model_says_which_words_and_how_sure_it_is(table: Callable[..., Any]) -> None:
    # Two tokens of probability 0.9 and 0.4: their geometric mean is 0.6.
    answer = RoundResult("서울", generated_tokens=2, logprob=math.log(0.9 * 0.4))
    seoul, bank = aligned(KOREAN, names("Seoul", "Bank of Korea"), table({Stage.BACKWARD: [answer, "한국은행"]}))
    assert seoul.confidence == pytest.approx(0.6)
    assert seoul == Alignment(
        EnglishEntity(0, "Seoul", "LOC", Span(0, 1)), Outcome.EXACT, Span(5, 7), "constrained", "서울", seoul.confidence
    )
    assert (bank.span, bank.answer, bank.confidence) == (Span(10, 14), "한국은행", None)


@pytest.mark.parametrize(
    ("probability", "outcome", "span"),
    [(0.4, Outcome.UNSURE, None), (0.51, Outcome.EXACT, Span(5, 7)), (1.0, Outcome.EXACT, Span(5, 7))],
)
@pytest.mark.parametrize("alignment", ["constrained", "free+constrained"])
def test_words_that_the_model_finds_improbable_align_nothing(
    table: Callable[..., Any], alignment: str, probability: float, outcome: Outcome, span: Span | None
) -> None:
    answer = RoundResult("서울", generated_tokens=1, logprob=math.log(probability))
    ask = table({Stage.BACKWARD: [answer]})
    (line,) = aligned(KOREAN, names("Seoul"), ask, alignment=alignment, rounds=1, min_confidence=0.5)
    assert (line.outcome, line.span, line.answer) == (outcome, span, "서울")
    assert line.confidence == pytest.approx(probability)


def test_words_that_one_entity_was_unsure_of_are_free_for_the_next(table: Callable[..., Any]) -> None:
    answers = [RoundResult("서울", generated_tokens=1, logprob=math.log(number)) for number in (0.4, 0.6)]
    ask = table({Stage.BACKWARD: answers})
    busan, seoul = aligned(KOREAN, names("Busan", "Seoul"), ask, min_confidence=0.5)
    assert (busan.outcome, busan.span) == (Outcome.UNSURE, None)
    assert (seoul.outcome, seoul.span) == (Outcome.EXACT, Span(5, 7))


def test_a_refusal_is_a_refusal_however_unsure(table: Callable[..., Any]) -> None:
    ask = table({Stage.BACKWARD: [RoundResult("NONE", generated_tokens=1, logprob=-9.0)]})
    assert aligned(KOREAN, names("Busan"), ask, min_confidence=0.5)[0].outcome is Outcome.REFUSED


@pytest.mark.parametrize(("logprob", "expected"), [(0.0, 1.0), (1e-9, 1.0), (-math.inf, 0.0), (-2000.0, 0.0)])
def test_confidence_is_a_probability_whatever_the_rounding(
    table: Callable[..., Any], logprob: float, expected: float
) -> None:
    ask = table({Stage.BACKWARD: [RoundResult("서울", logprob=logprob)]})
    assert aligned(KOREAN, names("Seoul"), ask)[0].confidence == expected


def test_the_entities_of_a_sentence_share_one_chat(table: Callable[..., Any]) -> None:
    ask = table({Stage.BACKWARD: ["김민지", "서울"]})
    aligned(KOREAN, names("Kim Min-ji", "Seoul"), ask, final_tokens=9)
    first, second = ask.requests
    assert first.messages[: first.shared] == RESTATED.opening(Stage.BACKWARD, language="Korean")
    assert second.messages[: len(first.messages)] == first.messages
    assert second.messages[len(first.messages)].content == "김민지"
    assert len(second.messages) == len(first.messages) + 2
    # The first question restates the sentence, the next ones need not.
    assert KOREAN.text in first.messages[-1].content
    assert KOREAN.text not in second.messages[-1].content
    assert dict(second.variables) == {"language": "Korean", "text": KOREAN.text, "words": "Seoul"}
    assert {(request.session, request.limits.max_new_tokens, request.adapter) for request in ask.requests} == {
        ("7/backward", 9, True)
    }
    assert [request.last for request in ask.requests] == [False, True]


def test_answers_are_bound_to_characters_of_korean_and_to_words_of_german(table: Callable[..., Any]) -> None:
    ask = table({Stage.BACKWARD: ["서울", "Po"]})
    aligned(KOREAN, names("Seoul"), ask)
    aligned(GERMAN, names("Padus"), ask)
    assert ask.requests[0].constraint == SpanConstraint(tuple(KOREAN.text), "NONE")
    assert ask.requests[1].constraint.units[:4] == ("In", " ", "Polen", " ")


def test_an_answer_stands_where_it_is_a_whole_word(table: Callable[..., Any]) -> None:
    ask = table({Stage.BACKWARD: ["Po", "Po", "Po"]})
    ledger = aligned(GERMAN, names("Padus", "Eridanus", "Bodincus"), ask)
    assert [line.span for line in ledger] == [Span(20, 22), Span(34, 36), None]
    assert ledger[2].outcome is Outcome.AMBIGUOUS


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        ("NONE", "refused", None),
        (RoundResult("서", finish_reason="length"), "truncated", None),
        ("", "empty", None),
        (" ", "empty", None),
        ("부산", "not_found", None),
        ("서울에서 ", "exact", "서울에서"),
        (KOREAN.text, "exact", KOREAN.text),  # a single clause may be a name
    ],
)
def test_every_answer_has_its_outcome(
    table: Callable[..., Any], answer: str | RoundResult, outcome: str, words: str | None
) -> None:
    ask = table({Stage.BACKWARD: [answer]})
    assert shown(aligned(KOREAN, names("Seoul"), ask), KOREAN) == [(outcome, "constrained", words)]


def test_most_of_a_sentence_is_too_long_an_answer(table: Callable[..., Any]) -> None:
    ask = table({Stage.BACKWARD: [GERMAN.text[3:]]})
    assert shown(aligned(GERMAN, names("Padus"), ask), GERMAN) == [("too_long", "constrained", None)]


def test_the_word_for_refusal_is_words_where_the_text_has_it(table: Callable[..., Any]) -> None:
    document = Document("서울 NONE 갔다", "ko")
    ask = table({Stage.BACKWARD: ["NONE"]})
    assert shown(aligned(document, names("Nobody"), ask), document) == [("exact", "constrained", "NONE")]


def test_punctuation_alone_is_an_empty_answer(table: Callable[..., Any]) -> None:
    document = Document("서울 (「」) 갔다", "ko")
    ask = table({Stage.BACKWARD: ["「」"]})
    assert shown(aligned(document, names("x"), ask), document) == [("empty", "constrained", None)]


def test_english_words_that_stand_in_the_text_are_copied_without_a_question(table: Callable[..., Any]) -> None:
    document = Document("Ann wohnt in BERLIN", "de")
    assert shown(aligned(document, names("Berlin", "Ann"), table({})), document) == [
        ("normalised", "copy", "BERLIN"),
        ("exact", "copy", "Ann"),
    ]


def test_another_form_of_an_english_word_is_not_copied(table: Callable[..., Any]) -> None:
    document = Document("Die Berliner Mauer", "de")
    ask = table({Stage.BACKWARD: ["NONE"]})
    assert shown(aligned(document, names("Berlin"), ask), document) == [("refused", "constrained", None)]


def test_what_the_thinking_round_listed_is_taken_without_a_question(table: Callable[..., Any]) -> None:
    thought = "김민지 = Kim Min-ji (PER)\n부산 = Seoul (LOC)\n서울 = seoul (LOC)"
    ledger = aligned(KOREAN, names("Kim Min-ji", "Seoul"), table({}), thought)
    assert shown(ledger, KOREAN) == [("exact", "list", "김민지"), ("exact", "list", "서울")]
    assert ledger[1].answer == "서울"


def test_what_is_sure_takes_its_words_before_the_model_is_asked(table: Callable[..., Any]) -> None:
    document = Document("Paris und Paris", "de")
    ask = table({Stage.BACKWARD: ["Paris"]})
    ledger = aligned(document, names("Lutetia", "Paris"), ask)
    assert [(line.via, line.span) for line in ledger] == [("constrained", Span(10, 15)), ("copy", Span(0, 5))]
    assert [request.last for request in ask.requests] == [True]


def test_an_entity_with_a_fault_keeps_it_and_is_not_asked_about(table: Callable[..., Any]) -> None:
    entities = [
        EnglishEntity(0, "Bergen", "LOC", None, Outcome.NOT_IN_TRANSLATION),
        EnglishEntity(1, "Seoul", "LOC", Span(0, 5)),
        EnglishEntity(2, "he", "PER", None, Outcome.NOT_A_NAME),
    ]
    for config in ({}, {"alignment": "free", "rounds": 1}):
        ask = table({Stage.BACKWARD: ["서울"]})
        ledger = aligned(KOREAN, entities, ask, **config)  # type: ignore[arg-type]  # settings, never the other names
        assert [str(line.outcome) for line in ledger] == ["not_in_translation", "exact", "not_a_name"]
        assert [line.english for line in ledger] == entities
        assert [request.last for request in ask.requests] == [True]


def test_free_alignment_asks_every_round_in_a_chat_of_its_own(table: Callable[..., Any]) -> None:
    ask = table({Stage.BACKWARD: ["it is 김민지", "yes", "김민지", "it is 서울", "yes", "서울에서는"]})
    ledger = aligned(KOREAN, names("Kim Min-ji", "Seoul"), ask, **FREE, locate_tokens=11, final_tokens=9)
    assert shown(ledger, KOREAN) == [("exact", "free", "김민지"), ("inflected", "free", "서울")]
    assert all(request.constraint is None for request in ask.requests)
    assert [request.limits.max_new_tokens for request in ask.requests] == [11, 11, 9, 11, 11, 9]
    assert [len(request.messages) for request in ask.requests] == [2, 4, 6, 2, 4, 6]
    assert [request.last for request in ask.requests] == [False] * 5 + [True]


def test_english_words_in_the_text_are_asked_about_all_the_same_where_the_paper_does(table: Callable[..., Any]) -> None:
    document = Document("Ann wohnt hier", "de")
    ask = table({Stage.BACKWARD: ["Ann"]})
    assert shown(aligned(document, names("Ann"), ask, **FREE, rounds=1), document) == [("exact", "free", "Ann")]


@pytest.mark.parametrize("rounds", [1, 3, 5])
def test_free_rounds_may_end_in_a_bound_one(table: Callable[..., Any], rounds: int) -> None:
    ask = table({Stage.BACKWARD: ["hm"] * (rounds - 1) + ["서울"]})
    ledger = aligned(KOREAN, names("Seoul"), ask, alignment="free+constrained", rounds=rounds)
    assert shown(ledger, KOREAN) == [("exact", "constrained", "서울")]
    assert [request.constraint is not None for request in ask.requests] == [False] * (rounds - 1) + [True]
    assert KOREAN.text in ask.requests[-1].messages[-1].content


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        ("서울", "exact", "서울"),
        (RoundResult("서울", finish_reason="length"), "exact", "서울"),
        (RoundResult("the words that", finish_reason="length"), "truncated", None),
        ("NONE", "refused", None),
        (" none. ", "refused", None),
        ("부산", "not_found", None),
        ("", "empty", None),
    ],
)
def test_every_free_answer_has_its_outcome(
    table: Callable[..., Any], answer: str | RoundResult, outcome: str, words: str | None
) -> None:
    ask = table({Stage.BACKWARD: [answer]})
    assert shown(aligned(KOREAN, names("Seoul"), ask, **FREE, rounds=1), KOREAN) == [(outcome, "free", words)]


def test_a_refusal_is_no_word_of_the_text_that_looks_like_it(table: Callable[..., Any]) -> None:
    document = Document("Die Nonne geht", "de")
    ask = table({Stage.BACKWARD: ["NONE"]})
    assert shown(aligned(document, names("x"), ask, **FREE, rounds=1), document) == [("refused", "free", None)]


def test_the_official_matcher_gives_the_first_place_twice(table: Callable[..., Any]) -> None:
    ask = table({Stage.BACKWARD: ["Po", "Po"]})
    ledger = aligned(GERMAN, names("Padus", "Eridanus"), ask, **FREE, rounds=1, matcher="official")
    assert [line.span for line in ledger] == [Span(3, 5), Span(3, 5)]


def test_every_round_is_recorded_under_its_entity(table: Callable[..., Any]) -> None:
    outputs: list[RoundOutput] = []
    ask = table({Stage.BACKWARD: ["a", "b", "서울", "c", "d", "한국은행"]})
    entities = [EnglishEntity(2, "Seoul", "LOC", Span(0, 1)), EnglishEntity(5, "Bank", "ORG", Span(2, 3))]
    aligned(KOREAN, entities, ask, record=outputs.append, **FREE)
    assert [(output.stage, output.entity, output.round, output.output) for output in outputs] == [
        (Stage.BACKWARD, 2, 1, "a"),
        (Stage.BACKWARD, 2, 2, "b"),
        (Stage.BACKWARD, 2, 3, "서울"),
        (Stage.BACKWARD, 5, 1, "c"),
        (Stage.BACKWARD, 5, 2, "d"),
        (Stage.BACKWARD, 5, 3, "한국은행"),
    ]


@pytest.mark.parametrize("alignment", ["constrained", "free", "free+constrained"])
def test_an_interrupted_alignment_goes_on_where_it_stopped(table: Callable[..., Any], alignment: str) -> None:
    answers = ["김민지", "서울", "한국은행"]
    entities = names("Kim Min-ji", "Seoul", "Bank of Korea")
    whole: list[RoundOutput] = []
    first = table({Stage.BACKWARD: answers})
    expected = aligned(KOREAN, entities, first, record=whole.append, alignment=alignment, rounds=1)
    for known in range(4):
        ask = table({Stage.BACKWARD: answers[known:]})
        recorded = by_key(whole[:known])
        assert aligned(KOREAN, entities, ask, recorded=recorded, alignment=alignment, rounds=1) == expected
        assert ask.requests == first.requests[known:]


ANSWERS = st.one_of(
    st.sampled_from(
        ["NONE", "none", "", "Po", "der Po", "Polen", "Italien.", "in", "ital", "?", GERMAN.text, "x" * 60]
    ),
    st.builds(lambda start, end: GERMAN.text[start:end], st.integers(0, 54), st.integers(0, 54)),
    st.text(max_size=8),
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Padus", "Po", "Italien", "Poland"]), st.sampled_from([None, None, Outcome.NOT_A_NAME])
        ),
        max_size=5,
    ),
    st.sampled_from(["constrained", "free", "free+constrained"]),
    st.sampled_from(["", "Polen = Poland (LOC)", "der = Padus (LOC)\n. = Po"]),
    st.data(),
)
def test_every_entity_ends_in_exactly_one_line_and_no_two_share_words(
    named: list[tuple[str, Outcome | None]], alignment: str, thought: str, data: st.DataObject
) -> None:
    entities = [EnglishEntity(index, words, "LOC", None, fault) for index, (words, fault) in enumerate(named)]

    def ask(request: Request) -> RoundResult:
        finish = data.draw(st.sampled_from(["stop", "length"]))
        return RoundResult(data.draw(ANSWERS), finish_reason=finish)

    ledger = aligned(GERMAN, entities, ask, thought, alignment=alignment, rounds=1)
    assert [line.english for line in ledger] == entities
    spans = [line.span for line in ledger if line.span is not None]
    for line in ledger:
        assert (line.span is not None) == (line.outcome in ALIGNED)
        assert line.english.unusable is None or line.outcome is line.english.unusable
        if line.span is not None:
            assert 0 <= line.span.start < line.span.end <= len(GERMAN.text)
            assert GERMAN.text[line.span.start : line.span.end].strip()
    assert all(one.end <= other.start or other.end <= one.start for one in spans for other in spans if one is not other)


def test_a_short_name_leaves_the_long_one_its_place(table: Callable[..., Any]) -> None:
    document = Document("뉴욕 타임스는 어제 뉴욕에서 창간되었다.", "ko")
    ask = table({Stage.BACKWARD: ["뉴욕", "뉴욕 타임스"]})
    city, paper = aligned(document, names("New York", "New York Times"), ask)
    assert (city.span, paper.span) == (Span(11, 13), Span(0, 6))
