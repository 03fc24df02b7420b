"""Which chats a step is made of, in which order, and how they are laid into tensors.

The order is the one given, or a function of seed and epoch alone, so a resumed run reads what an undisturbed one would
have read.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eat_worker.training.adapter.examples import Example
from eat_worker.training.adapter.recipe import Recipe

if TYPE_CHECKING:
    import torch


def steps_per_epoch(examples: Sequence[Example], recipe: Recipe) -> int:
    """The steps after which every chat has been seen once; the last of them may be smaller."""
    return -(-len(examples) // recipe.batch)


def steps(examples: Sequence[Example], recipe: Recipe, begin: int) -> Iterator[list[Example]]:
    """The chats of every step from number `begin` on, through all epochs, each in an order of its own unless the recipe
    keeps the given one.
    """
    per_epoch = steps_per_epoch(examples, recipe)
    for epoch in range(begin // per_epoch, recipe.epochs):
        order = list(range(len(examples)))
        if not recipe.in_order:
            random.Random(f"{recipe.seed}/{epoch}").shuffle(order)
        first = begin - epoch * per_epoch if epoch == begin // per_epoch else 0
        for step in range(first, per_epoch):
            yield [examples[at] for at in order[step * recipe.batch : (step + 1) * recipe.batch]]


def passes(step: Sequence[Example], at_once: int) -> list[list[Example]]:
    """The chats of a step in groups of similar length, none of more than `at_once` tokens with its padding."""
    groups: list[list[Example]] = []
    for example in sorted(step, key=lambda one: len(one.ids), reverse=True):
        if groups and len(groups[-1][0].ids) * (len(groups[-1]) + 1) <= at_once:
            groups[-1].append(example)
        else:
            groups.append([example])
    return groups


@dataclass(frozen=True, slots=True)
class Tensors:
    """`ids`: (rows, tokens) int64, padded behind, where no causal model looks. `rows` and `columns`: (answers,) int64,
    the places from which the tokens `wanted`, (answers,) int64, are to be predicted.
    """

    ids: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    wanted: torch.Tensor


def tensors(group: Sequence[Example], device: torch.device) -> Tensors:
    """One group of chats for one pass of the model."""
    import torch

    width = max(len(example.ids) for example in group)
    ids = [[*example.ids, *[0] * (width - len(example.ids))] for example in group]
    places = [
        (row, at - 1, example.ids[at])
        for row, example in enumerate(group)
        for start, end in example.answers
        for at in range(start, end)
    ]
    rows, columns, wanted = (torch.tensor(part, device=device) for part in zip(*places, strict=True))
    return Tensors(torch.tensor(ids, device=device), rows, columns, wanted)
