from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eat_worker.method.document import RoundOutput, Stage
from eat_worker.method.rounds import (
    Limits,
    Message,
    Prompt,
    Request,
    Round,
    RoundResult,
    Said,
    SpanConstraint,
    converse,
    said_by_key,
)

OPENING = (Message("system", "You translate."), Message("user", "Ready?"), Message("assistant", "Yes."))
BOUND = SpanConstraint(("a", "b"), "NONE")
ROUNDS = [
    Round(1, Prompt("id1", "Think about {text}.", {"text": "서울"}), Limits(5)),
    Round(2, Prompt("id2", "Translate {text}.", {"text": "서울"}), Limits(6), BOUND),
    Round(3, Prompt("id3", "Final.", {}), Limits(7)),
]


def recorded(number: int, output: str) -> RoundOutput:
    return RoundOutput(Stage.FORWARD, 4, number, f"id{number}", {}, output)


def talk(ask: Callable[[Request], RoundResult], said: Said, *, last: bool = True) -> list[RoundOutput]:
    return list(
        converse(
            OPENING,
            ROUNDS,
            stage=Stage.FORWARD,
            entity=4,
            session="7/forward",
            ask=ask,
            said=said,
            shared=3,
            adapter=True,
            last=last,
        )
    )


def test_a_prompt_is_filled_by_plain_substitution() -> None:
    assert Prompt("", "{a} and {b}, {a}.", {"a": "{b}", "b": "100 %}"}).text() == "{b} and 100 %}, {b}."
    assert Prompt("", "no variables", {"a": "x"}).text() == "no variables"


def test_a_prompt_without_its_variable_is_an_error() -> None:
    with pytest.raises(KeyError):
        Prompt("", "{missing}").text()


def test_the_history_grows_by_prompt_and_answer_of_every_round(table: Callable[..., Any]) -> None:
    ask = table({Stage.FORWARD: ["a thought", "a translation", "the end"]})
    outputs = talk(ask, {})
    assert [output.output for output in outputs] == ["a thought", "a translation", "the end"]
    first, second, third = (request.messages for request in ask.requests)
    assert first == (*OPENING, Message("user", "Think about 서울."))
    assert second == (*first, Message("assistant", "a thought"), Message("user", "Translate 서울."))
    assert third == (*second, Message("assistant", "a translation"), Message("user", "Final."))


def test_a_request_says_what_the_engine_needs(table: Callable[..., Any]) -> None:
    ask = table({Stage.FORWARD: ["1", "2", "3"]})
    talk(ask, {})
    assert [request.limits.max_new_tokens for request in ask.requests] == [5, 6, 7]
    assert [request.constraint for request in ask.requests] == [None, BOUND, None]
    assert [dict(request.variables) for request in ask.requests] == [{"text": "서울"}, {"text": "서울"}, {}]
    assert {(request.session, request.stage, request.shared, request.adapter) for request in ask.requests} == {
        ("7/forward", Stage.FORWARD, 3, True)
    }


def test_only_the_last_request_is_the_last(table: Callable[..., Any]) -> None:
    ask = table({Stage.FORWARD: ["1", "2", "3"] * 2})
    talk(ask, {})
    assert [request.last for request in ask.requests] == [False, False, True]
    talk(ask, {}, last=False)
    assert [request.last for request in ask.requests[3:]] == [False, False, False]


@pytest.mark.parametrize("known", [0, 1, 2, 3])
def test_only_rounds_not_yet_said_are_asked_and_the_chat_is_the_same(table: Callable[..., Any], known: int) -> None:
    answers = ["a thought", "a translation", "the end"]
    whole = table({Stage.FORWARD: answers})
    talk(whole, {})
    ask = table({Stage.FORWARD: answers[known:]})
    said = said_by_key([recorded(number + 1, answers[number]) for number in range(known)])
    outputs = talk(ask, said)
    assert [output.output for output in outputs] == answers
    assert ask.requests == whole.requests[known:]
    assert ask.is_spent


def test_what_is_said_of_another_entity_or_stage_does_not_count(table: Callable[..., Any]) -> None:
    other = [
        RoundOutput(Stage.FORWARD, 5, 1, "", {}, "x"),
        RoundOutput(Stage.BACKWARD, 4, 1, "", {}, "x"),
        RoundOutput(Stage.FORWARD, 4, 9, "", {}, "x"),
    ]
    ask = table({Stage.FORWARD: ["1", "2", "3"]})
    assert [output.output for output in talk(ask, said_by_key(other))] == ["1", "2", "3"]


def test_each_answer_arrives_before_the_next_is_asked(table: Callable[..., Any]) -> None:
    ask = table({Stage.FORWARD: ["1", "2", "3"]})
    arriving = converse(
        OPENING, ROUNDS, stage=Stage.FORWARD, entity=4, session="s", ask=ask, said={}, shared=0, adapter=False
    )
    next(arriving)
    assert len(ask.requests) == 1


def test_an_output_keeps_all_that_the_engine_reports(table: Callable[..., Any]) -> None:
    result = RoundResult("서울", 100, 60, 5, 2.5, "length", 4, -0.5, ("loop",))
    ask = table({Stage.FORWARD: [result, "2", "3"]})
    assert talk(ask, {})[0] == RoundOutput(
        stage=Stage.FORWARD,
        entity=4,
        round=1,
        prompt_id="id1",
        variables={"text": "서울"},
        output="서울",
        prompt_tokens=100,
        cached_tokens=60,
        generated_tokens=5,
        seconds=2.5,
        finish_reason="length",
        batch_size=4,
        logprob=-0.5,
        flags=("loop",),
    )


def test_what_the_engine_raises_is_not_held_back() -> None:
    def broken(request: Request) -> RoundResult:
        raise ConnectionError(request.session)

    with pytest.raises(ConnectionError, match="7/forward"):
        talk(broken, {})


def test_said_outputs_are_kept_under_stage_entity_and_round() -> None:
    one = recorded(1, "x")
    assert said_by_key([one]) == {("forward", 4, 1): one}
