"""What is remarked on an answer, read as a person would."""

from __future__ import annotations

import pytest

from eat_worker.method.chat import Chat
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import RoundOutput, Stage
from eat_worker.method.flags import alignment_flags, flags_of, loop_start, scripts_of, translation_flags
from eat_worker.method.rounds import Limits, Prompt, Request, Round, RoundResult


@pytest.mark.parametrize("answer", ["", "  \n", "None"])
def test_an_answer_without_words_is_empty(answer: str) -> None:
    assert flags_of(answer) == ("empty",)


def test_a_plain_answer_has_no_flags() -> None:
    assert flags_of("Ann met Bob in Oslo.") == ()


def test_the_same_words_eight_times_at_the_end_are_a_loop() -> None:
    text = "He said " + "the city of " * 8
    assert flags_of(text) == ("loop",)
    assert loop_start(text) == len("He said the city of")


def test_seven_times_is_none() -> None:
    assert loop_start("He said " + "the city of " * 7) is None


def test_unspaced_text_goes_in_circles_by_characters() -> None:
    assert loop_start("彼は東京" + "東京" * 8) == len("彼は東京")


def test_a_row_of_dots_is_a_pause_and_no_loop() -> None:
    assert loop_start("Wait " + ". " * 20) is None


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "Sure, please provide the sentence.",
        "As an AI language model, I cannot",
        "Please provide the Korean sentence.",
        "I cannot translate this.",
    ],
)
def test_an_answer_that_declines_is_a_refusal(answer: str) -> None:
    assert flags_of(answer) == ("refusal",)


@pytest.mark.parametrize("answer", ["Sure, he said.", "I sang.", "Sorry Street is in Oslo."])
def test_words_that_only_begin_alike_are_none(answer: str) -> None:
    assert flags_of(answer) == ()


def test_letters_are_counted_by_script() -> None:
    assert scripts_of("東京タワーと Ann 1!") == {"CJK": 6, "LATIN": 3}


def test_half_an_english_sentence_in_another_script_is_untranslated() -> None:
    assert translation_flags("Kim visited 서울특별시청") == ("untranslated",)


def test_one_name_in_its_own_script_is_no_fault() -> None:
    assert translation_flags("The president visited the city hall of 서울.") == ()


def test_a_translation_without_letters_is_not_judged() -> None:
    assert translation_flags("1999") == ()


def test_an_alignment_in_another_script_than_the_text_is_flagged() -> None:
    assert alignment_flags("Seoul", "서울에서") == ("wrong_script",)


def test_an_alignment_in_one_of_the_texts_scripts_is_not() -> None:
    assert alignment_flags("NATO", "NATO는 서울") == ()


def test_an_alignment_without_letters_is_not_judged() -> None:
    assert alignment_flags("1988", "서울에서") == ()


def flags_recorded(stage: Stage, answers: list[str], text: str) -> list[tuple[str, ...]]:
    rest = iter(answers)

    def ask(request: Request) -> RoundResult:
        return RoundResult(next(rest), flags=("control_tokens",))

    rounds = [Round(n, Prompt("p", "{text}", {"text": text}), Limits(8)) for n in range(1, len(answers) + 1)]
    outputs: list[RoundOutput] = []
    Chat(stage, MethodConfig(), ask, "s", record=outputs.append).final_answer([], rounds, entity=0)
    return [output.flags for output in outputs]


def test_only_the_final_round_of_a_translation_must_be_english() -> None:
    assert flags_recorded(Stage.FORWARD, ["서울 = Seoul", "서울에서"], "서울에서") == [
        ("control_tokens",),
        ("control_tokens", "untranslated"),
    ]


def test_only_the_final_round_of_an_alignment_must_be_in_the_texts_script() -> None:
    assert flags_recorded(Stage.BACKWARD, ["Seoul", "Seoul"], "서울에서") == [
        ("control_tokens",),
        ("control_tokens", "wrong_script"),
    ]


def test_saying_that_nothing_is_meant_is_in_no_wrong_script() -> None:
    assert flags_recorded(Stage.BACKWARD, ["NONE."], "서울에서") == [("control_tokens",)]


def test_a_back_translation_may_be_in_any_script() -> None:
    assert flags_recorded(Stage.BACK_TRANSLATION, ["서울에서"], "") == [("control_tokens",)]
