"""The student on the tiny model: it learns, goes on from its state, and looking on the way changes nothing."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest

from eat_worker.errors import ConfigurationError, NumericFault
from eat_worker.method.config import MethodConfig
from eat_worker.method.prompts import prompt_set
from eat_worker.models.adapter import read_adapter
from eat_worker.training.adapter.examples import Example, examples_of
from eat_worker.training.adapter.recipe import Recipe
from eat_worker.training.adapter.student import Student
from eat_worker.training.eacl.chats import conversations
from eat_worker.training.eacl.pairs import EaclPair


@pytest.fixture
def chats(pairs: list[EaclPair], tiny_qwen_folder: Path) -> list[Example]:
    made = conversations(pairs[:4], prompts=prompt_set("restated"), config=MethodConfig())
    return examples_of(made, tiny_qwen_folder, 2048)[0]


@pytest.mark.parametrize("precision", ["bf16", "nf4"])
def test_four_pairs_are_learnt_by_heart(
    precision: str, chats: list[Example], tiny_qwen_folder: Path, small_recipe: Recipe
) -> None:
    student = Student(tiny_qwen_folder, replace(small_recipe, base_precision=precision, r=64))
    before = student.look(chats)
    losses = [student.learn(chats, 0.02) for _ in range(8)]
    assert losses[0] == pytest.approx(before, rel=1e-3)
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("precision", ["bf16", "nf4"])
def test_a_student_that_goes_on_from_a_state_loses_nothing(
    precision: str, chats: list[Example], tiny_qwen_folder: Path, small_recipe: Recipe
) -> None:
    recipe = replace(small_recipe, base_precision=precision)
    whole = Student(tiny_qwen_folder, recipe)
    losses = [whole.learn(chats[:2], 0.01), whole.learn(chats[2:], 0.01)]
    state = whole.state()
    kept = copy.deepcopy(state)  # learning on would change it
    losses += [whole.learn(chats, 0.01), whole.learn(chats[:2], 0.005)]
    other = Student(tiny_qwen_folder, replace(recipe, seed=99))
    other.restore(kept)
    assert [other.learn(chats, 0.01), other.learn(chats[:2], 0.005)] == losses[2:]


def test_looking_changes_nothing_of_what_is_learnt(
    chats: list[Example], tiny_qwen_folder: Path, small_recipe: Recipe
) -> None:
    recipe = replace(small_recipe, base_precision="nf4")
    quiet, looking = Student(tiny_qwen_folder, recipe), Student(tiny_qwen_folder, recipe)
    for student in (quiet, looking):
        student.learn(chats[:2], 0.01)
    looking.look(chats)
    assert looking.learn(chats, 0.01) == quiet.learn(chats, 0.01)


def test_how_much_is_computed_at_once_changes_rounding_only(
    chats: list[Example], tiny_qwen_folder: Path, small_recipe: Recipe
) -> None:
    together = Student(tiny_qwen_folder, replace(small_recipe, at_once=4096))
    apart = Student(tiny_qwen_folder, replace(small_recipe, at_once=1))
    for student in (together, apart):
        student.learn(chats, 0.01)
    assert together.look(chats) == pytest.approx(apart.look(chats), rel=0.02)


def test_the_same_seed_gives_the_same_first_weights(tiny_qwen_folder: Path, small_recipe: Recipe) -> None:
    import torch

    first, again = Student(tiny_qwen_folder, small_recipe), Student(tiny_qwen_folder, small_recipe)
    other = Student(tiny_qwen_folder, replace(small_recipe, seed=4))
    pairs = list(zip(first.state()["weights"], again.state()["weights"], strict=True))
    assert all(torch.equal(*pair) for pair in pairs)
    others = zip(first.state()["weights"], other.state()["weights"], strict=True)
    assert not all(torch.equal(*pair) for pair in others)


def test_the_adapter_is_saved_as_peft_has_it(tiny_qwen_folder: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    Student(tiny_qwen_folder, small_recipe).save(tmp_path)
    adapter = read_adapter(tmp_path)
    assert (adapter.r, adapter.alpha) == (8, 16)
    assert adapter.targets == ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")
    assert len(adapter.shapes) == 2 * 7 * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


def test_a_loss_that_is_no_number_ends_the_run(
    chats: list[Example], tiny_qwen_folder: Path, small_recipe: Recipe
) -> None:
    student = Student(tiny_qwen_folder, small_recipe)
    state = student.state()
    state["weights"][0].fill_(float("inf"))
    student.restore({"weights": state["weights"], "adamw": state["adamw"]})
    with pytest.raises(NumericFault, match="lower the learning rate"):
        student.learn(chats, 0.01)


def test_weights_that_are_repacked_for_inference_are_refused() -> None:
    import torch

    from eat_worker.training.adapter.student import refuse_repacked

    class State:
        packing_format_for_cpu = True

    linear = torch.nn.Linear(2, 2)
    linear.weight.quant_state = State()  # type: ignore[assignment]  # as bitsandbytes marks them
    with pytest.raises(ConfigurationError, match="weight is repacked for inference; train in a new process"):
        refuse_repacked(linear)


def test_a_base_without_the_projections_is_refused() -> None:
    import torch

    from eat_worker.training.adapter.student import _with_adapter

    with pytest.raises(ConfigurationError, match="train on a Qwen2 model"):
        _with_adapter(torch.nn.Sequential(torch.nn.Linear(2, 2)), Recipe())


def test_a_student_goes_on_from_an_adapter_as_it_was_saved(
    chats: list[Example], tiny_qwen_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    first = Student(tiny_qwen_folder, small_recipe)
    before = first.look(chats)
    for _ in range(4):
        first.learn(chats, 0.02)
    first.save(tmp_path)
    second = Student(tiny_qwen_folder, replace(small_recipe, seed=99), tmp_path)
    assert second.look(chats) == first.look(chats) < 0.9 * before


def test_an_adapter_of_another_rank_is_not_gone_on_from(
    tiny_qwen_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    Student(tiny_qwen_folder, small_recipe).save(tmp_path)
    with pytest.raises(ConfigurationError, match="r = 8, alpha = 16 are not the recipe's"):
        Student(tiny_qwen_folder, replace(small_recipe, r=4), tmp_path)


def test_a_saved_adapter_names_its_base_and_no_path(
    tiny_qwen_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    Student(tiny_qwen_folder, small_recipe).save(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == tiny_qwen_folder.name.removesuffix("-hf")
    assert config["target_modules"] == sorted(config["target_modules"])
