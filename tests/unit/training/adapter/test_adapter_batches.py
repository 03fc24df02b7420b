"""Steps, passes and tensors."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eat_worker.training.adapter.batches import passes, steps, steps_per_epoch, tensors
from eat_worker.training.adapter.examples import Example
from eat_worker.training.adapter.recipe import Recipe

CHATS = [Example(tuple(range(length)), ((length - 1, length),)) for length in (2, 3, 4, 5, 6)]
RECIPE = replace(Recipe(), batch=2, epochs=2)


def lengths(step: list[Example]) -> list[int]:
    return [len(example.ids) for example in step]


def test_every_epoch_sees_every_chat_once_and_in_an_order_of_its_own() -> None:
    found = [lengths(step) for step in steps(CHATS, RECIPE, 0)]
    assert [len(step) for step in found] == [2, 2, 1, 2, 2, 1]
    first, second = [*found[0], *found[1], *found[2]], [*found[3], *found[4], *found[5]]
    assert sorted(first) == sorted(second) == [2, 3, 4, 5, 6]
    assert first != second
    assert steps_per_epoch(CHATS, RECIPE) == 3


@pytest.mark.parametrize("begin", [0, 1, 3, 4, 6])
def test_a_run_that_is_taken_up_reads_what_it_would_have_read(begin: int) -> None:
    assert list(steps(CHATS, RECIPE, begin)) == list(steps(CHATS, RECIPE, 0))[begin:]


def test_another_seed_is_another_order() -> None:
    orders = {tuple(tuple(lengths(step)) for step in steps(CHATS, replace(RECIPE, seed=seed), 0)) for seed in range(4)}
    assert len(orders) == 4


def test_passes_hold_chats_of_similar_length_within_the_limit() -> None:
    assert [lengths(group) for group in passes(CHATS, 10)] == [[6], [5, 4], [3, 2]]
    assert [lengths(group) for group in passes(CHATS, 1)] == [[6], [5], [4], [3], [2]]  # none is left out


def test_tensors_say_from_where_which_token_is_to_be_predicted() -> None:
    torch = pytest.importorskip("torch")
    group = [Example((7, 8, 9, 10), ((1, 2), (3, 4))), Example((5, 6), ((1, 2),))]
    batch = tensors(group, torch.device("cpu"))
    assert batch.ids.tolist() == [[7, 8, 9, 10], [5, 6, 0, 0]]
    assert batch.rows.tolist() == [0, 0, 1]
    assert batch.columns.tolist() == [0, 2, 0]
    assert batch.wanted.tolist() == [8, 10, 6]


def test_a_recipe_may_keep_the_order_given() -> None:
    kept = replace(RECIPE, in_order=True)
    assert [lengths(step) for step in steps(CHATS, kept, 0)] == [[2, 3], [4, 5], [6]] * 2
