"""The steps of a training run: which comes next, what is noted of it, when to look at held-out chats, when to stop.

Knows time and the checkpoint; what a step does is the student's affair.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from eat_worker.training.adapter.batches import steps, steps_per_epoch
from eat_worker.training.adapter.checkpoint import read_checkpoint, write_checkpoint
from eat_worker.training.adapter.examples import Example
from eat_worker.training.adapter.recipe import Limits, Recipe

EVERY = 25  # steps between two looks at held-out chats, each of which is followed by a checkpoint
LOOKED_AT = 32  # held-out chats of a look
_MARGIN = 0.95  # of the time left is planned with: machines get slower


class Learner(Protocol):
    """What is trained; `student.Student` is one."""

    def learn(self, step: Sequence[Example], learning_rate: float) -> float: ...
    def look(self, chats: Sequence[Example]) -> float: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


@dataclass(slots=True)
class History:
    """What has happened. `losses` has one entry per step, `looks` one per look; `seconds` is the time of both.

    `horizon` is the step at which the schedule ends, `total` that at which the run does; 0: not yet known.
    """

    losses: list[dict[str, float]] = field(default_factory=list)
    looks: list[dict[str, float]] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    horizon: int = 0
    stopped: str = ""  # epochs | max_steps | max_minutes

    @property
    def step(self) -> int:
        """How many steps are done."""
        return len(self.losses)


Tell = Callable[[History], None]
"""Hears of the history after every step."""


def train(
    learner: Learner,
    chats: Sequence[Example],
    held_out: Sequence[Example],
    *,
    recipe: Recipe,
    limits: Limits,
    folder: Path,
    belongs_to: Mapping[str, Any],
    tell: Tell,
) -> History:
    """Train from the start, or on from the folder's checkpoint, up to the limits.

    `belongs_to` identifies base, data and settings: a checkpoint of others is refused (ConfigurationError).
    """
    history = History()
    kept = read_checkpoint(folder, belongs_to=belongs_to)
    if kept is not None:
        history = History(**kept["history"])
        learner.restore(kept["learner"])
    most = steps_per_epoch(chats, recipe) * recipe.epochs
    run = _Run(learner, history, held_out[:LOOKED_AT], recipe=recipe, limits=limits, most=most)
    if kept is None:
        run.look()
    for step in steps(chats, recipe, history.step):
        if run.is_over():
            break
        run.learn(step)
        tell(history)
        if history.step % EVERY == 0:
            run.look()
            state = {"history": asdict(history), "learner": learner.state()}
            write_checkpoint(folder, belongs_to=belongs_to, state=state)
    history.stopped = history.stopped or "epochs"
    if not history.looks or history.looks[-1]["step"] != history.step:
        run.look()
    return history


class _Run:
    """One process's part of a training run."""

    def __init__(
        self,
        learner: Learner,
        history: History,
        looked_at: Sequence[Example],
        *,
        recipe: Recipe,
        limits: Limits,
        most: int,
    ) -> None:
        self._learner, self._history, self._looked_at = learner, history, looked_at
        self._recipe, self._limits = recipe, limits
        self._last = min(most, limits.max_steps or most)

    def is_over(self) -> bool:
        """Whether a limit is reached; the history is told which."""
        history, minutes = self._history, self._limits.max_minutes
        if history.step >= self._last:
            history.stopped = "max_steps"
        elif minutes is not None and (history.seconds >= 60 * minutes or 0 < history.horizon <= history.step):
            history.stopped = "max_minutes"
        return bool(history.stopped)

    def learn(self, step: Sequence[Example]) -> None:
        """One step."""
        history = self._history
        self._set_horizon()
        rate = self._recipe.learning_rate_at(history.step, history.horizon or self._last)
        begun = time.monotonic()
        loss = self._learner.learn(step, rate)
        seconds = time.monotonic() - begun
        tokens = sum(len(example.ids) for example in step)
        history.seconds += seconds
        history.tokens += tokens
        history.losses.append(
            {"step": history.step + 1, "loss": loss, "learning_rate": rate, "tokens": tokens, "seconds": seconds}
        )

    def look(self) -> None:
        """Note the loss of the held-out chats."""
        if not self._looked_at:
            return
        begun = time.monotonic()
        loss = self._learner.look(self._looked_at)
        self._history.seconds += time.monotonic() - begun
        self._history.looks.append({"step": self._history.step, "loss": loss})

    def _set_horizon(self) -> None:
        """With a limit of time, how far the run will come is known when the warm-up is over; it then stays, so that the
        same run can be made again by its number of steps.
        """
        history, limits = self._history, self._limits
        if history.horizon:
            return
        if limits.horizon is not None:
            history.horizon = limits.horizon
        elif limits.max_minutes is None:
            history.horizon = self._last
        elif history.step and history.step >= self._recipe.warmup:
            left = _MARGIN * (60 * limits.max_minutes - history.seconds)
            # The first step pays for what later ones find ready; looks are part of the time per step.
            timed = history.losses[1:] or history.losses
            per_step = sum(entry["seconds"] for entry in timed) / len(timed)
            per_step += (history.seconds - sum(entry["seconds"] for entry in history.losses)) / EVERY
            history.horizon = min(self._last, history.step + max(1, int(left / per_step)))
