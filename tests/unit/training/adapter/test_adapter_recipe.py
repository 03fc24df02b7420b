"""The preset of the paper, what a recipe refuses, and how the learning rate goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.training.adapter.recipe import PRESETS, PROJECTIONS, Recipe


def test_the_preset_of_the_paper_has_what_the_paper_prints() -> None:
    paper = PRESETS["paper"]
    assert (paper.r, paper.alpha, paper.epochs, paper.learning_rate) == (64, 16, 5, 0.0001)
    assert (paper.base_precision, paper.held_out) == ("nf4", 0.1)
    assert len(PROJECTIONS) == 7


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("base_precision", "int8", "base_precision = 'int8' is not one of: nf4, bf16"),
        ("schedule", "linear", "schedule = 'linear' is not one of: cosine, constant"),
        ("epochs", 0, "epochs = 0 is below 1"),
        ("longest", 7, "longest = 7 is below 8"),
        ("learning_rate", 0.0, "learning_rate = 0.0 is not above 0 and at most 1"),
        ("learning_rate", 2.0, "learning_rate = 2.0 is not above 0 and at most 1"),
        ("held_out", 0.95, "held_out = 0.95 is not above 0 and at most 0.9"),
        ("clip", float("nan"), "clip = nan is not above 0 and at most inf"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(name: str, value: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{said}$"):
        replace(Recipe(), **{name: value})  # type: ignore[arg-type]  # wrong on purpose


def test_the_learning_rate_rises_and_then_falls_as_a_cosine() -> None:
    recipe = Recipe(learning_rate=0.8, warmup=2)
    rates = [round(recipe.learning_rate_at(step, horizon=6), 4) for step in range(7)]
    assert rates == [0.4, 0.8, 0.8, 0.6828, 0.4, 0.1172, 0.0]


def test_a_constant_learning_rate_stays_after_the_warm_up() -> None:
    recipe = Recipe(learning_rate=0.8, warmup=2, schedule="constant")
    assert [recipe.learning_rate_at(step, horizon=6) for step in (0, 1, 5, 100)] == [0.4, 0.8, 0.8, 0.8]


def test_without_warm_up_training_begins_at_the_full_rate() -> None:
    assert Recipe(learning_rate=0.5, warmup=0).learning_rate_at(0, horizon=4) == 0.5


def test_a_recipe_comes_back_from_json() -> None:
    recipe = Recipe(epochs=2, seed=7)
    assert Recipe.from_json(recipe.to_json()) == recipe
    with pytest.raises(ConfigurationError, match="does not know: dropout"):
        Recipe.from_json({**recipe.to_json(), "dropout": 0.1})
