from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eat_worker.method.chat import Chat, Recorded, by_key
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import RoundOutput, Stage
from eat_worker.method.prompts import OFFICIAL, RESTATED
from eat_worker.method.rounds import Limits, Message, Prompt, Request, Round, RoundResult, SpanConstraint

OPENING = (Message("system", "You translate."), Message("user", "Ready?"), Message("assistant", "Yes."))
BOUND = SpanConstraint(("a", "b"), "NONE")
ROUNDS = [
    Round(1, Prompt("id1", "Think about {text}.", {"text": "서울"}), Limits(5)),
    Round(2, Prompt("id2", "Translate {text}.", {"text": "서울"}), Limits(6), BOUND),
    Round(3, Prompt("id3", "Final.", {}), Limits(7)),
]
CONFIG = MethodConfig(adapter_stages=("forward",))


def known(number: int, output: str) -> RoundOutput:
    return RoundOutput(Stage.FORWARD, 4, number, f"id{number}", {}, output)


def talk(
    ask: Callable[[Request], RoundResult], recorded: Recorded | None = None, *, last: bool = True
) -> tuple[RoundOutput, list[RoundOutput]]:
    """The final answer, and the rounds that were recorded on the way."""
    new: list[RoundOutput] = []
    chat = Chat(Stage.FORWARD, CONFIG, ask, "7", recorded or {}, new.append)
    return chat.final_answer(OPENING, ROUNDS, entity=4, last=last), new


def test_the_history_grows_by_prompt_and_answer_of_every_round(table: Callable[..., Any]) -> None:
    ask = table({Stage.FORWARD: ["a thought", "a translation", "the end"]})
    final, new = talk(ask)
    assert final.output == "the end"
    assert [output.output for output in new] == ["a thought", "a translation", "the end"]
    first, second, third = (request.messages for request in ask.requests)
    assert first == (*OPENING, Message("user", "Think about 서울."))
    assert second == (*first, Message("assistant", "a thought"), Message("user", "Translate 서울."))
    assert third == (*second, Message("assistant", "a translation"), Message("user", "Final."))


def test_earlier_turns_follow_the_opening_and_are_not_shared(table: Callable[..., Any]) -> None:
    ask = table({Stage.FORWARD: ["1"]})
    earlier = (Message("user", "before"), Message("assistant", "said"))
    Chat(Stage.FORWARD, CONFIG, ask, "7").final_answer(OPENING, ROUNDS[2:], history=earlier)
    (request,) = ask.requests
    assert request.messages == (*OPENING, *earlier, Message("user", "Final."))
    assert request.shared == 3


def test_a_request_says_what_the_engine_needs(table: Callable[..., Any]) -> None:
    ask = table({Stage.FORWARD: ["1", "2", "3"]})
    talk(ask)
    assert [request.limits.max_new_tokens for request in ask.requests] == [5, 6, 7]
    assert [request.constraint for request in ask.requests] == [None, BOUND, None]
    assert [dict(request.variables) for request in ask.requests] == [{"text": "서울"}, {"text": "서울"}, {}]
    assert {(request.session, request.stage, request.shared, request.adapter) for request in ask.requests} == {
        ("7/forward", Stage.FORWARD, 3, True)
    }


def test_only_the_last_request_is_the_last(table: Callable[..., Any]) -> None:
    ask = table({Stage.FORWARD: ["1", "2", "3"] * 2})
    talk(ask)
    assert [request.last for request in ask.requests] == [False, False, True]
    talk(ask, last=False)
    assert [request.last for request in ask.requests[3:]] == [False, False, False]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_recorded_rounds_are_not_asked_again_and_the_chat_is_the_same(table: Callable[..., Any], count: int) -> None:
    answers = ["a thought", "a translation", "the end"]
    whole = table({Stage.FORWARD: answers})
    talk(whole)
    ask = table({Stage.FORWARD: answers[count:]})
    final, new = talk(ask, by_key([known(number + 1, answers[number]) for number in range(count)]))
    assert final.output == "the end"
    assert [output.output for output in new] == answers[count:]
    assert ask.requests == whole.requests[count:]
    assert ask.is_spent


def test_rounds_of_another_entity_or_stage_do_not_count(table: Callable[..., Any]) -> None:
    others = [
        RoundOutput(Stage.FORWARD, 5, 1, "", {}, "x"),
        RoundOutput(Stage.BACKWARD, 4, 1, "", {}, "x"),
        RoundOutput(Stage.FORWARD, 4, 9, "", {}, "x"),
    ]
    ask = table({Stage.FORWARD: ["1", "2", "3"]})
    _, new = talk(ask, by_key(others))
    assert [output.output for output in new] == ["1", "2", "3"]


def test_each_answer_is_recorded_before_the_next_is_asked(table: Callable[..., Any]) -> None:
    ask = table({Stage.FORWARD: ["1", "2", "3"]})
    asked: list[int] = []
    chat = Chat(Stage.FORWARD, CONFIG, ask, "7", record=lambda _: asked.append(len(ask.requests)))
    chat.final_answer(OPENING, ROUNDS)
    assert asked == [1, 2, 3]


def test_an_output_keeps_all_that_the_engine_reports(table: Callable[..., Any]) -> None:
    result = RoundResult("서울", 100, 60, 5, 2.5, "length", 4, -0.5, (-0.5,), ("loop",))
    _, new = talk(table({Stage.FORWARD: [result, "2", "3"]}))
    assert new[0] == RoundOutput(
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
        line_logprobs=(-0.5,),
        flags=("loop",),
    )


def test_what_the_engine_raises_is_not_held_back() -> None:
    def broken(request: Request) -> RoundResult:
        raise ConnectionError(request.session)

    with pytest.raises(ConnectionError, match="7/forward"):
        talk(broken)


def test_recorded_outputs_are_kept_under_stage_entity_and_round() -> None:
    one = known(1, "x")
    assert by_key([one]) == {("forward", 4, 1): one}


@pytest.mark.parametrize("prompts", [RESTATED, OFFICIAL], ids=lambda prompts: prompts.name)
def test_prompts_are_those_of_the_run_and_the_stage(table: Callable[..., Any], prompts: Any) -> None:
    chat = Chat(Stage.FORWARD, MethodConfig(prompts=prompts.name), table({}), "7")
    assert chat.opening(language="Korean") == prompts.opening(Stage.FORWARD, language="Korean")
    variables = {"language": "Korean", "text": "서울"}
    assert chat.round(2, "think", 9, BOUND, **variables) == Round(
        2, prompts.prompt(Stage.FORWARD, "think", **variables), Limits(9), BOUND
    )
