from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eat_worker.method.chat import Chat
from eat_worker.method.config import TUNED_STAGES, MethodConfig
from eat_worker.method.constraint import Automaton, gbnf, names_of
from eat_worker.method.direct import annotate_directly
from eat_worker.method.document import Alignment, Document, EnglishEntity, Outcome, RoundOutput, Span, Stage
from eat_worker.method.extract import extract
from eat_worker.method.names import Named, named_in, names_constraint
from eat_worker.method.rounds import NamesConstraint, RoundResult, by_line

TUNED = MethodConfig(prompts="tuned", adapter_stages=TUNED_STAGES)
KOREAN = Document("뉴욕 타임스는 어제 뉴욕에서 창간되었다.", "ko")
RUSSIAN = Document("Анна едет в Москву, Анна дома.", "ru")


def answered(text: str, *logprobs: float) -> RoundOutput:
    return RoundOutput(Stage.DIRECT, -1, 1, "id", {}, text, line_logprobs=logprobs)


def test_each_line_is_a_name_at_its_place_with_its_probability() -> None:
    names = named_in(answered("뉴욕 타임스 (ORG)\n뉴욕 (LOC)", -0.5, 0.0), KOREAN.text, "ko")
    assert names == (
        Named("뉴욕 타임스", "ORG", Span(0, 6), pytest.approx(0.6065, abs=1e-4)),
        Named("뉴욕", "LOC", Span(11, 13), 1.0),
    )


def test_an_engine_without_probabilities_gives_none() -> None:
    assert named_in(answered("Анна (PER)"), RUSSIAN.text, "ru")[0].probability is None


def test_a_name_that_is_listed_once_is_a_name_wherever_it_is() -> None:
    names = named_in(answered("Анна (PER)", -0.1), RUSSIAN.text, "ru")
    assert [(name.span, name.tag) for name in names] == [(Span(0, 4), "PER"), (Span(20, 24), "PER")]


def test_a_repeated_name_is_not_looked_for_inside_a_longer_one() -> None:
    text = "New York Times, New York, New York Times"
    names = named_in(answered("New York Times (ORG)\nNew York (LOC)"), text, "en")
    assert [(name.span, name.tag) for name in names] == [
        (Span(0, 14), "ORG"),
        (Span(16, 24), "LOC"),
        (Span(26, 40), "ORG"),
    ]


def test_one_character_is_not_looked_for_elsewhere() -> None:
    names = named_in(answered("日 (LOC)"), "日本日本", "ja")
    assert [name.span for name in names] == [Span(0, 1)]


@pytest.mark.parametrize("answer", ["none", "", "Анна", "Анна (PE", "Пётр (PER)", "Анна дома (PER", ". (PER)"])
def test_what_is_no_name_of_the_text_is_left_out(answer: str) -> None:
    assert named_in(answered(answer), RUSSIAN.text, "ru") == ()


def test_a_line_counts_all_its_tokens_and_what_ends_it() -> None:
    tokens = [("Ан", -1.0), ("на", -0.5), (" (PER)\n", -0.25), ("Москву", -2.0), (" (LOC)", -1.0), ("", -0.5)]
    assert by_line(tokens) == (-1.75, -3.5)
    assert by_line([("none", -0.1), ("", -0.1)]) == (-0.2,)


def test_an_answer_is_lines_of_the_text_in_its_order_or_none() -> None:
    automaton = Automaton(names_of("Анна в Осло", ("PER", "LOC"), characters=False))

    def allowed(answer: str) -> bool:
        return automaton.accepts(automaton.advance(automaton.start(), answer))

    assert allowed("none")
    assert allowed("Анна (PER)")
    assert allowed("Анна (PER)\nОсло (LOC)")
    assert allowed("Анна в Осло (LOC)")
    assert not allowed("Осло (LOC)\nАнна (PER)")
    assert not allowed("Анна (ORG)")
    assert not allowed("Анна = Anna (PER)")
    assert not allowed("Анна (PER)\nnone")
    assert not allowed("Анн (PER)")
    assert not allowed("")


def test_a_line_may_hold_the_sign_that_pairs_are_written_with() -> None:
    constraint = names_of("E=mc", ("ORG",), characters=False, refusal=None)
    automaton = Automaton(constraint)
    assert automaton.accepts(automaton.advance(automaton.start(), "E=mc (ORG)"))
    assert '"none"' not in gbnf(constraint)


def test_the_direct_method_asks_the_tuned_weights_for_lines(table: Callable[..., Any]) -> None:
    ask = table({Stage.DIRECT: [RoundResult("Анна (PER)\nМоскву (LOC)", line_logprobs=(0.0, -0.5))]})
    ledger = annotate_directly(RUSSIAN, Chat(Stage.DIRECT, TUNED, ask, "7"))
    assert [(line.span, line.english.tag, line.outcome, line.via) for line in ledger] == [
        (Span(0, 4), "PER", Outcome.EXACT, "direct"),
        (Span(12, 18), "LOC", Outcome.EXACT, "direct"),
        (Span(20, 24), "PER", Outcome.EXACT, "direct"),
    ]
    assert [line.english.index for line in ledger] == [0, 1, 2]
    assert ledger[1] == Alignment(
        EnglishEntity(1, "Москву", "LOC"),
        Outcome.EXACT,
        Span(12, 18),
        "direct",
        "Москву",
        pytest.approx(0.6065, abs=1e-4),
    )
    (request,) = ask.requests
    assert [message.content for message in request.messages] == ["Name the PER, LOC and ORG.", RUSSIAN.text]
    assert request.adapter
    assert isinstance(request.constraint, NamesConstraint)


def test_the_tuned_extractor_names_the_english_entities_with_their_places(table: Callable[..., Any]) -> None:
    english = "Ann is in Oslo, Ann!"
    ask = table({Stage.EXTRACT: ["Ann (PER)\nOslo (LOC)"]})
    chat = Chat(Stage.EXTRACT, TUNED, ask, "7")
    assert extract(english, chat) == (
        EnglishEntity(0, "Ann", "PER", Span(0, 3)),
        EnglishEntity(1, "Oslo", "LOC", Span(10, 14)),
        EnglishEntity(2, "Ann", "PER", Span(16, 19)),
    )
    assert ask.requests[0].constraint == names_constraint(english, "en", chat)
