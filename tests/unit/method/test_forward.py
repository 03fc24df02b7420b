from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.method.chat import Chat, by_key
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Document, RoundOutput, Stage
from eat_worker.method.forward import Listed, back_translate, listed_names, translate, translation_of
from eat_worker.method.prompts import RESTATED
from eat_worker.method.rounds import Ask, Constraint, EnglishConstraint, ListConstraint

TEXT = "나는 서울에 갔다"
KOREAN = Document(TEXT, "ko")


def forward(ask: Ask, config: MethodConfig, document: Document = KOREAN) -> str:
    return translate(document, Chat(Stage.FORWARD, config, ask, "7"))


@pytest.mark.parametrize(("rounds", "limits"), [(1, [128]), (3, [192, 128, 128]), (5, [192, 128, 192, 128, 128])])
def test_a_translation_takes_as_many_rounds_as_the_run_says(
    table: Callable[..., Any], rounds: int, limits: list[int]
) -> None:
    ask = table({Stage.FORWARD: [f"answer {number}" for number in range(1, rounds + 1)]})
    outputs: list[RoundOutput] = []
    chat = Chat(Stage.FORWARD, MethodConfig(rounds=rounds), ask, "7", record=outputs.append)
    assert translate(KOREAN, chat) == f"answer {rounds}"
    assert [output.round for output in outputs] == list(range(1, rounds + 1))
    assert {(output.stage, output.entity) for output in outputs} == {(Stage.FORWARD, -1)}
    assert [request.limits.max_new_tokens for request in ask.requests] == limits
    assert [request.last for request in ask.requests] == [False] * (rounds - 1) + [True]
    assert {request.session for request in ask.requests} == {"7/forward"}


def test_the_chat_opens_alike_for_every_sentence_and_names_the_language(table: Callable[..., Any]) -> None:
    ask = table({Stage.FORWARD: ["1", "2", "3"]})
    forward(ask, MethodConfig())
    opening = RESTATED.opening(Stage.FORWARD, language="Korean")
    for request in ask.requests:
        assert request.messages[: request.shared] == opening
        assert TEXT in request.messages[-1].content
        assert dict(request.variables) == {"language": "Korean", "text": TEXT}


NAMES = ListConstraint(("나", "는", " ", "서", "울", "에", " ", "갔", "다"), ("PER", "LOC", "ORG"), "none")
ENGLISH = EnglishConstraint()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (MethodConfig(rounds=1), [ENGLISH]),
        (MethodConfig(), [NAMES, ENGLISH, ENGLISH]),
        # think, translate, check, revise, final: a check is free prose
        (MethodConfig(rounds=5), [NAMES, ENGLISH, None, ENGLISH, ENGLISH]),
        (MethodConfig(prompts="official"), [None, ENGLISH, ENGLISH]),  # explains, and lists nothing
        (MethodConfig(forward="free"), [None, None, None]),
        (MethodConfig(forward="free", rounds=5, prompts="official"), [None] * 5),
    ],
)
def test_bound_rounds_list_words_of_the_text_and_translate_into_one_line_of_english(
    table: Callable[..., Any], config: MethodConfig, expected: list[Constraint | None]
) -> None:
    ask = table({Stage.FORWARD: ["x"] * 5})
    forward(ask, config)
    assert [request.constraint for request in ask.requests] == expected


def test_words_are_the_units_of_a_language_with_blanks(table: Callable[..., Any]) -> None:
    ask = table({Stage.FORWARD: ["1", "2", "3"]})
    forward(ask, MethodConfig(), Document("in Köln", "de"))
    assert ask.requests[0].constraint.units == ("in", " ", "Köln")


def test_a_back_translation_is_a_chat_of_its_own(table: Callable[..., Any]) -> None:
    ask = table({Stage.BACK_TRANSLATION: ["1", "2", "3"]})
    config = MethodConfig(adapter_stages=("back_translation",))
    outputs: list[RoundOutput] = []
    chat = Chat(Stage.BACK_TRANSLATION, config, ask, "7", record=outputs.append)
    assert back_translate("I went.", "ko", chat) == "3"
    assert [(output.stage, output.entity, output.round) for output in outputs] == [
        (Stage.BACK_TRANSLATION, -1, 1),
        (Stage.BACK_TRANSLATION, -1, 2),
        (Stage.BACK_TRANSLATION, -1, 3),
    ]
    assert all(request.constraint is None and request.adapter for request in ask.requests)
    assert {request.session for request in ask.requests} == {"7/back_translation"}
    assert dict(ask.requests[0].variables) == {"language": "Korean", "english": "I went."}


def test_the_adapter_is_on_only_in_its_stages(table: Callable[..., Any]) -> None:
    for stages, expected in ((("backward",), False), (("forward", "backward"), True)):
        ask = table({Stage.FORWARD: ["1"]})
        forward(ask, MethodConfig(rounds=1, adapter_stages=stages))
        assert [request.adapter for request in ask.requests] == [expected]


def test_recorded_rounds_are_not_asked_again(table: Callable[..., Any]) -> None:
    recorded = by_key([RoundOutput(Stage.FORWARD, -1, 1, "", {}, "a thought")])
    ask = table({Stage.FORWARD: ["2", "3"]})
    assert translate(KOREAN, Chat(Stage.FORWARD, MethodConfig(), ask, "7", recorded)) == "3"
    assert ask.requests[0].messages[-2].content == "a thought"


def test_an_unknown_language_is_refused(table: Callable[..., Any]) -> None:
    with pytest.raises(ConfigurationError, match="xx"):
        forward(table({}), MethodConfig(), Document(TEXT, "xx"))


@pytest.mark.parametrize(
    ("final", "expected"),
    [
        ("", ""),
        (" \n\n ", ""),
        ("I went to Seoul.", "I went to Seoul."),
        ("I went\nto Seoul.", "I went to Seoul."),
        ("I went to Seoul.\n\nNote: Seoul is a city.", "I went to Seoul."),
        ('"I went to Seoul."', "I went to Seoul."),
        ("“I went.”", "I went."),
        ("«J’y vais.»", "J’y vais."),
        ('"Yes" and "no"', '"Yes" and "no"'),
        ('"', '"'),
        ("Translation: I went.", "I went."),
        ("English translation: I went.", "I went."),
        ("Final translation:\nI went.", "I went."),
        ("Here is the English translation:\n\nI went.", "I went."),
        ('Sure! Here\'s the final translation: "I went."', "I went."),
        ("The translation of the sentence into English: I went.", "I went."),
        ("Korean sentence: 나는 갔다", "나는 갔다"),
        ("The court handed down this sentence: ten years.", "The court handed down this sentence: ten years."),
        ("Death sentence: a film", "Death sentence: a film"),
        ("Translation", "Translation"),
    ],
)
def test_the_translation_is_read_out_of_the_final_answer(final: str, expected: str) -> None:
    assert translation_of(final) == expected


@pytest.mark.parametrize(
    ("thought", "expected"),
    [
        ("none", []),
        ("", []),
        ("서울 = Seoul (LOC)", [Listed("서울", "Seoul", "LOC")]),
        (
            "김민지 = Kim Min-ji (PER)\n서울 = Seoul (LOC)",
            [Listed("김민지", "Kim Min-ji", "PER"), Listed("서울", "Seoul", "LOC")],
        ),
        (
            "The names are:\n- Köln = Cologne (loc).\n* Bonn = Bonn",
            [
                Listed("Köln", "Cologne", "LOC"),
                Listed("Bonn", "Bonn", None),
            ],
        ),
        (
            "1. Köln = Cologne (LOC)\n2) Bonn = Bonn (LOC)",
            [
                Listed("Köln", "Cologne", "LOC"),
                Listed("Bonn", "Bonn", "LOC"),
            ],
        ),
        ("1. FC Köln = 1. FC Köln (ORG)", [Listed("1. FC Köln", "1. FC Köln", "ORG")]),
        ("20世紀フォックス = 20th Century Fox (ORG)", [Listed("20世紀フォックス", "20th Century Fox", "ORG")]),
        ("2002年 = 2002 (ORG)", [Listed("2002年", "2002", "ORG")]),
        ("Вашингтон = Washington (D.C.) (LOC)", [Listed("Вашингтон", "Washington (D.C.)", "LOC")]),
        ("Акме = Acme Inc. (ORG)", [Listed("Акме", "Acme Inc.", "ORG")]),
        ('"서울" = "Seoul"', [Listed("서울", "Seoul", None)]),
        ("= Seoul (LOC)\n서울 = (LOC)\n서울 =", []),
        ("a\u2028b = A B (LOC)", [Listed("a\u2028b", "A B", "LOC")]),
    ],
)
def test_the_pairs_of_the_thinking_round_are_read(thought: str, expected: list[Listed]) -> None:
    assert listed_names(thought) == expected
