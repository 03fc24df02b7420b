"""The loop, with a learner that only counts: limits, schedule, looks, checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.training.adapter import loop
from eat_worker.training.adapter.examples import Example
from eat_worker.training.adapter.loop import History, train
from eat_worker.training.adapter.recipe import Limits, Recipe

CHATS = [Example((1, 2, number), ((2, 3),)) for number in range(8)]
RECIPE = replace(Recipe(), batch=2, epochs=3, warmup=2, learning_rate=1.0)  # 12 steps


NO_LIMITS = Limits()


class Clock:
    """A clock that the learner sets forward."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Counter:
    """A learner whose loss is the sum of what it has seen; a step takes 10 s, a look 5 s."""

    def __init__(self, clock: Clock, dies_at: int = -1) -> None:
        self.clock, self.dies_at = clock, dies_at
        self.seen = 0
        self.steps = 0

    def learn(self, step: Sequence[Example], learning_rate: float) -> float:
        if self.steps == self.dies_at:
            raise KeyboardInterrupt
        self.clock.now += 10
        self.steps += 1
        self.seen = self.seen * 3 + sum(example.ids[2] for example in step)
        return float(self.seen)

    def look(self, chats: Sequence[Example]) -> float:
        self.clock.now += 5
        return float(-self.seen)

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen, "steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        self.seen, self.steps = state["seen"], state["steps"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(loop.time, "monotonic", made.monotonic)
    monkeypatch.setattr(loop, "EVERY", 5)
    return made


def run(learner: Counter, folder: Path, *, limits: Limits = NO_LIMITS, held_out: Sequence[Example] = CHATS) -> History:
    belongs_to = {"data": "d"}
    return train(
        learner,
        CHATS,
        held_out,
        recipe=RECIPE,
        limits=limits,
        folder=folder,
        belongs_to=belongs_to,
        tell=lambda _: None,
    )


def test_all_epochs_are_trained_and_looked_at(clock: Clock, tmp_path: Path) -> None:
    history = run(Counter(clock), tmp_path)
    assert (history.step, history.stopped, history.horizon, history.tokens) == (12, "epochs", 12, 72)
    assert [look["step"] for look in history.looks] == [0, 5, 10, 12]
    assert history.seconds == 12 * 10 + 4 * 5
    assert [entry["step"] for entry in history.losses] == list(range(1, 13))
    assert history.losses[1]["learning_rate"] == 1.0
    assert history.losses[11]["learning_rate"] == pytest.approx(0.0245, abs=1e-4)


def test_the_number_of_steps_is_a_limit_and_the_end_of_the_schedule(clock: Clock, tmp_path: Path) -> None:
    history = run(Counter(clock), tmp_path, limits=Limits(max_steps=4))
    assert (history.step, history.stopped, history.horizon) == (4, "max_steps", 4)


def test_a_limit_of_time_sets_the_end_of_the_schedule_after_the_warm_up(clock: Clock, tmp_path: Path) -> None:
    history = run(Counter(clock), tmp_path, limits=Limits(max_minutes=1.5))
    # After 2 steps and a look 65 of 90 s are left; 0.95 of it are 5 steps of 10 s and a fifth of a look.
    assert (history.step, history.stopped, history.horizon) == (7, "max_minutes", 7)


def test_time_that_ends_before_the_plan_ends_the_run(clock: Clock, tmp_path: Path) -> None:
    learner = Counter(clock)
    slow = learner.learn

    def slower(step: Sequence[Example], learning_rate: float) -> float:
        clock.now += 40 if learner.steps >= 3 else 0
        return slow(step, learning_rate)

    learner.learn = slower  # type: ignore[method-assign]  # the machine gets slower on the way
    history = run(learner, tmp_path, limits=Limits(max_minutes=1.5))
    assert (history.step, history.stopped, history.horizon) == (5, "max_minutes", 7)


def test_a_run_made_again_keeps_the_schedule_it_had(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = run(Counter(clock), tmp_path / "a", limits=Limits(max_minutes=1.5))
    again = run(Counter(clock), tmp_path / "b", limits=Limits(max_steps=first.step, horizon=first.horizon))
    assert [entry["learning_rate"] for entry in again.losses[2:]] == [
        entry["learning_rate"] for entry in first.losses[2:]
    ]


def test_a_run_that_died_goes_on_from_its_checkpoint(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole = run(Counter(clock), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(Counter(clock, dies_at=7), tmp_path / "cut")
    resumed = run(Counter(clock), tmp_path / "cut")
    assert [entry["loss"] for entry in resumed.losses] == [entry["loss"] for entry in whole.losses]
    assert resumed.looks == whole.looks
    assert resumed.seconds == whole.seconds


def test_a_checkpoint_of_other_data_is_refused(clock: Clock, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Counter(clock, dies_at=7), tmp_path)
    with pytest.raises(ConfigurationError, match="was begun with another data, recipe; give the same"):
        train(
            Counter(clock), CHATS, CHATS, recipe=RECIPE, limits=Limits(), folder=tmp_path,
            belongs_to={"data": "e", "recipe": "r"}, tell=lambda _: None,
        )  # fmt: skip


def test_a_checkpoint_that_is_cut_short_is_refused(clock: Clock, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Counter(clock, dies_at=7), tmp_path)
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigurationError, match="cannot be read"):
        run(Counter(clock), tmp_path)


def test_without_held_out_chats_nothing_is_looked_at(clock: Clock, tmp_path: Path) -> None:
    assert run(Counter(clock), tmp_path, held_out=[]).looks == []
