from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest

from eat_worker.method.config import CHAT_STAGES, CHOICES
from eat_worker.method.document import Stage
from eat_worker.method.prompts import OFFICIAL, RESTATED, ROUND_NAMES, ListForm, PromptSet, prompt_set

VARIABLES = {
    Stage.FORWARD: {"language", "text"},
    Stage.EXTRACT: {"english"},
    Stage.BACKWARD: {"language", "text", "words"},
    Stage.BACK_TRANSLATION: {"language", "english"},
    Stage.DIRECT: {"text"},
}
BOTH = pytest.mark.parametrize("prompts", [RESTATED, OFFICIAL], ids=lambda prompts: prompts.name)


def placeholders(template: str) -> set[str]:
    return set(re.findall(r"{(\w*)}", template))


def test_sets_go_by_their_names() -> None:
    assert [prompt_set(name).name for name in CHOICES["prompts"]] == list(CHOICES["prompts"])
    with pytest.raises(KeyError):
        prompt_set("mine")


@pytest.mark.parametrize("rounds", CHOICES["rounds"])
@pytest.mark.parametrize("stage", [Stage.FORWARD, Stage.BACKWARD, Stage.BACK_TRANSLATION])
def test_every_number_of_rounds_has_so_many_names_and_ends_in_the_final(stage: Stage, rounds: int) -> None:
    names = ROUND_NAMES[stage, rounds]
    assert len(set(names)) == rounds
    assert names[-1] == ("final" if rounds > 1 else "only")


@BOTH
def test_the_only_question_of_a_chat_has_all_that_the_answer_needs(prompts: PromptSet) -> None:
    needed = {Stage.FORWARD: ("{text}",), Stage.BACKWARD: ("{text}", "{words}"), Stage.BACK_TRANSLATION: ("{english}",)}
    for stage, variables in needed.items():
        assert all(variable in prompts.templates[stage, "only"] for variable in variables)


@BOTH
def test_every_round_of_every_stage_has_a_prompt(prompts: PromptSet) -> None:
    needed = {(stage, name) for (stage, _), names in ROUND_NAMES.items() for name in names}
    needed |= {(Stage.EXTRACT, "final"), (Stage.DIRECT, "final"), (Stage.BACKWARD, "next")}
    assert needed <= set(prompts.templates)
    assert {str(stage) for stage in prompts.openings} == set(CHAT_STAGES)


@BOTH
def test_templates_use_only_the_variables_of_their_stage(prompts: PromptSet) -> None:
    for (stage, _), template in prompts.templates.items():
        assert placeholders(template) <= VARIABLES[stage]
    for stage, messages in prompts.openings.items():
        for _, text in messages:
            assert placeholders(text) <= VARIABLES[stage] & {"language"}


@BOTH
def test_a_chat_opens_with_the_system_and_ends_where_the_user_speaks_next(prompts: PromptSet) -> None:
    for stage in prompts.openings:
        roles = [message.role for message in prompts.opening(stage, language="Korean")]
        assert roles[0] == "system"
        assert roles[1::2] == ["user"] * (len(roles) // 2)
        assert roles[2::2] == ["assistant"] * ((len(roles) - 1) // 2)
        assert len(roles) % 2 == 1


def test_the_restated_set_repeats_the_sentence_in_every_round() -> None:
    for (stage, name), template in RESTATED.templates.items():
        if (stage, name) != (Stage.BACKWARD, "next"):
            assert placeholders(template) & {"text", "english"}


def test_later_rounds_of_the_official_set_do_not_repeat_it() -> None:
    for stage, rounds in ((Stage.FORWARD, 5), (Stage.BACKWARD, 5), (Stage.BACK_TRANSLATION, 5)):
        first, *later = ROUND_NAMES[stage, rounds]
        assert placeholders(OFFICIAL.templates[stage, first]) & {"text", "english"}
        for name in later:
            assert not placeholders(OFFICIAL.templates[stage, name]) & {"text", "english"}


def test_only_the_restated_set_asks_for_a_list_of_names() -> None:
    assert RESTATED.lists is ListForm.PAIRS
    assert OFFICIAL.lists is ListForm.PROSE


@BOTH
def test_a_prompt_is_known_by_the_hash_of_its_template(prompts: PromptSet) -> None:
    template = prompts.templates[Stage.FORWARD, "think"]
    prompt = prompts.prompt(Stage.FORWARD, "think", language="Korean", text="나는 {text}")
    assert prompt.id == hashlib.sha256(template.encode()).hexdigest()
    assert "나는 {text}" in prompt.text()
    assert "Korean" in prompt.text()


@BOTH
def test_every_prompt_is_listed_for_storage(prompts: PromptSet) -> None:
    listed = prompts.listed(3)
    assert [(one.stage, one.template) for one in listed] == [
        (str(stage), template) for (stage, _), template in prompts.templates.items()
    ]
    assert all(one.id == hashlib.sha256(one.template.encode()).hexdigest() for one in listed)
    assert {one.prompt_set for one in listed} == {prompts.name}


@BOTH
@pytest.mark.parametrize("rounds", [1, 3, 5])
def test_templates_are_numbered_as_the_run_asks_them(prompts: PromptSet, rounds: int) -> None:
    numbers = dict(zip(prompts.templates, [one.round for one in prompts.listed(rounds)], strict=True))
    for stage in (Stage.FORWARD, Stage.BACKWARD, Stage.BACK_TRANSLATION):
        assert [numbers[stage, name] for name in ROUND_NAMES[stage, rounds]] == list(range(1, rounds + 1))
    assert numbers[Stage.EXTRACT, "final"] == numbers[Stage.DIRECT, "final"] == 1


def test_the_id_of_a_set_changes_with_whatever_it_says() -> None:
    small = PromptSet("small", 1, False, {Stage.EXTRACT: (("system", "a"),)}, {(Stage.EXTRACT, "final"): "b"})
    ids = {
        small.id,
        replace(small, version=2).id,
        replace(small, openings={Stage.EXTRACT: (("user", "a"),)}).id,
        replace(small, openings={}).id,
        replace(small, templates={(Stage.EXTRACT, "final"): "c"}).id,
        replace(small, templates={(Stage.DIRECT, "final"): "b"}).id,
    }
    assert len(ids) == 6
    assert replace(small, name="other").id == small.id
    assert re.fullmatch("[0-9a-f]{64}", small.id)


def test_a_stage_without_an_opening_opens_with_nothing() -> None:
    assert PromptSet("small", 1, False, {}, {}).opening(Stage.FORWARD) == ()
