from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from eat_worker.method.chat import Chat, by_key
from eat_worker.method.config import CHOICES, MethodConfig
from eat_worker.method.document import Alignment, Document, EnglishEntity, Outcome, RoundOutput, Span, Stage
from eat_worker.method.steps import STEPS, Findings

TEXT = Document("김민지는 서울에 갔다", "ko")
SEOUL = EnglishEntity(0, "Seoul", "LOC", Span(0, 5))


def test_every_stage_in_which_a_model_is_asked_has_a_step() -> None:
    for method, back in product(CHOICES["method"], (True, False)):
        stages = MethodConfig(method=method, back_translation=back).stages()
        assert [stage for stage in stages if stage not in STEPS] == [Stage.SCORE, Stage.DONE]


def test_what_a_step_adds_leaves_the_rest_as_it_is() -> None:
    first = Findings(english="Seoul", english_entities=(SEOUL,))
    second = Findings(english_entities=(), back_translation="")
    assert first.with_added(second) == Findings(english="Seoul", english_entities=(), back_translation="")


@pytest.mark.parametrize(
    ("stage", "answers", "added"),
    [
        (Stage.FORWARD, ["1", "2", "Seoul is big."], Findings(english="Seoul is big.")),
        (Stage.EXTRACT, ["(LOC, Seoul)"], Findings(english_entities=(SEOUL,))),
        (Stage.BACK_TRANSLATION, ["1", "2", "서울"], Findings(back_translation="서울")),
        (
            Stage.BACKWARD,
            ["서울"],
            Findings(alignments=(Alignment(SEOUL, Outcome.EXACT, Span(5, 7), "constrained", "서울"),)),
        ),
        (
            Stage.DIRECT,
            ["(LOC, 서울)"],
            Findings(
                alignments=(Alignment(EnglishEntity(0, "서울", "LOC"), Outcome.EXACT, Span(5, 7), "direct", "서울"),)
            ),
        ),
    ],
)
def test_a_step_alone_adds_its_own_result(
    table: Callable[..., Any], stage: Stage, answers: list[str], added: Findings
) -> None:
    known = Findings(english="Seoul is big.", english_entities=(SEOUL,))
    ask = table({stage: answers})
    assert STEPS[stage](TEXT, known, Chat(stage, MethodConfig(), ask, "7")) == added
    assert ask.is_spent


def test_the_list_is_the_first_of_several_forward_rounds(table: Callable[..., Any]) -> None:
    thought = RoundOutput(Stage.FORWARD, -1, 1, "", {}, "서울 = Seoul (LOC)")
    others = [replace(thought, stage=Stage.EXTRACT), replace(thought, round=2), replace(thought, entity=0)]
    known = Findings(english="Seoul is big.", english_entities=(SEOUL,))

    def found_by(rounds: int, *outputs: RoundOutput) -> str:
        chat = Chat(
            Stage.BACKWARD, MethodConfig(rounds=rounds), table({Stage.BACKWARD: ["서울"]}), "7", by_key(outputs)
        )
        (line,) = STEPS[Stage.BACKWARD](TEXT, known, chat).alignments or ()
        return line.via

    assert found_by(3, *others, thought) == "list"
    assert found_by(3, *others) == "constrained"
    assert found_by(1, thought) == "constrained"  # the only round is no list
