"""The three phases as they are trained: recipe, counts, seeds, and their chats as tokens in the order of learning.

These values made the adapter that comes along. Knows the tokenizer of the base; knows no model.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from eat_worker.errors import CorpusError
from eat_worker.training.adapter.examples import Example, examples_of
from eat_worker.training.adapter.recipe import Limits, Recipe
from eat_worker.training.eacl.chats import Conversation
from eat_worker.training.names.first_phase import Counts, first_chats
from eat_worker.training.names.later_phases import LaterCounts, later_chats
from eat_worker.training.names.sources import Sources

# Rank 4 on short chats: what has to be learnt is a task and a form, and two CPU cores have to be enough.
_FIRST = Recipe(
    r=4,
    alpha=8,
    base_precision="bf16",
    epochs=1,
    learning_rate=4e-4,
    warmup=8,
    batch=12,
    at_once=1536,
    longest=160,
    in_order=True,
)
_SECOND = replace(_FIRST, learning_rate=2.5e-4, warmup=3, longest=130)
_THIRD = replace(_SECOND, learning_rate=2e-4, longest=150)
# The first run had half an hour, which ended it here; kept, so that it can be made again.
_FIRST_LIMITS = Limits(max_steps=63, horizon=62)
_FIRST_COUNTS = Counts(named=640, unnamed=170, switched=200, made=90, copied=11)
_SECOND_COUNTS = LaterCounts(
    without=11,
    without_long=6,
    titles=7,
    known=6,
    again=Counts(named=80, unnamed=24, switched=30, made=20, copied=3),
    again_seed=7,
)
_THIRD_COUNTS = LaterCounts(
    places=11,
    without=5,
    without_long=5,
    known=8,
    several=60,
    again=Counts(named=0, unnamed=10, switched=20, made=50, copied=0),
    again_seed=9,
)
_HELD_OUT = 24  # chats of the first phase


@dataclass(frozen=True, slots=True)
class Lesson:
    """One phase. `chats` as they were made; `learnt` and `held_out` are those that are short enough, as tokens."""

    name: str
    seed: int
    recipe: Recipe
    limits: Limits
    counts: Counts | LaterCounts
    chats: Sequence[Conversation]
    learnt: Sequence[Example]
    held_out: Sequence[Example]

    def described(self) -> dict[str, Any]:
        """What a card says of it before it is learnt."""
        settings = {"seed": self.seed, "recipe": self.recipe.to_json(), "counts": asdict(self.counts)}
        chats = {"made": len(self.chats), "learnt_from": len(self.learnt), "held_out": len(self.held_out)}
        return {"phase": self.name, **settings, "chats": chats, "sha256": digest_of([self])}


def lessons_of(sources: Sources, base: Path) -> list[Lesson]:
    """The phases in order, for the tokenizer of a base. Raises CorpusError when the sources give too little for one."""
    return [
        _first(sources, base),
        _later("second", 1, _SECOND, _SECOND_COUNTS, sources, base),
        _later("third", 2, _THIRD, _THIRD_COUNTS, sources, base),
    ]


def _first(sources: Sources, base: Path) -> Lesson:
    chats = first_chats(sources, _FIRST_COUNTS, random.Random(0))
    examples, _ = examples_of(chats, base, _FIRST.longest)
    held_out, learnt = examples[:_HELD_OUT], examples[_HELD_OUT:]
    random.Random(1).shuffle(learnt)
    return _demand(Lesson("first", 0, _FIRST, _FIRST_LIMITS, _FIRST_COUNTS, chats, learnt, held_out))


def _later(  # noqa: PLR0917  # what a phase is made of
    name: str, seed: int, recipe: Recipe, counts: LaterCounts, sources: Sources, base: Path
) -> Lesson:
    draw = random.Random(seed)
    chats = later_chats(sources, counts, draw)
    learnt, _ = examples_of(chats, base, recipe.longest)
    draw.shuffle(learnt)
    return _demand(Lesson(name, seed, recipe, Limits(), counts, chats, learnt, ()))


def digest_of(lessons: Sequence[Lesson]) -> str:
    """SHA-256 (hex) over all chats, as they were made."""
    digest = hashlib.sha256()
    for lesson in lessons:
        for chat in lesson.chats:
            opening = [(message.role, message.content) for message in chat.opening]
            turns = [(turn.question, turn.answer, turn.ends) for turn in chat.turns]
            digest.update(orjson.dumps([opening, turns], option=orjson.OPT_APPEND_NEWLINE))
    return digest.hexdigest()


def _demand(lesson: Lesson) -> Lesson:
    if not lesson.learnt:
        raise CorpusError(f"the sources give no chats for the {lesson.name} phase")
    return lesson
