"""What an adapter is trained with: the settings that decide its weights, and how long it may take.

Presets are recipes with a name. Knows numbers only; knows no model and no data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from eat_worker.errors import ConfigurationError

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The matrices of every layer that get an adapter: all seven."""

CHOICES: dict[str, tuple[str, ...]] = {"base_precision": ("nf4", "bf16"), "schedule": ("cosine", "constant")}
_AT_LEAST = {"r": 1, "alpha": 1, "epochs": 1, "warmup": 0, "batch": 1, "at_once": 1, "longest": 8}


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings that decide an adapter's weights. Raises ConfigurationError on a value that cannot be."""

    #: Rank of the LoRA; its part is multiplied by alpha / r.
    r: int = 64
    alpha: int = 16
    #: nf4 (QLoRA: the frozen base in double-quantised 4-bit NormalFloat, computed in bf16) or bf16.
    base_precision: str = "nf4"
    epochs: int = 5
    #: Reached after `warmup` steps,
    learning_rate: float = 1e-4
    #: ... then kept (`constant`) or taken to zero (`cosine`).
    schedule: str = "cosine"
    warmup: int = 10
    #: Chats per step.
    batch: int = 16
    #: Padded tokens computed in one pass; decides memory and speed, and nothing else but rounding.
    at_once: int = 2048
    #: Longest gradient.
    clip: float = 1.0
    #: Tokens of a chat; longer ones are left out.
    longest: int = 512
    #: Share of all pages that is not trained on.
    held_out: float = 0.1
    seed: int = 0
    #: Chats are learnt in the order given, instead of in one of its own per epoch.
    in_order: bool = False

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigurationError(f"{name} = {getattr(self, name)!r} is not one of: {', '.join(choices)}")
        for name, least in _AT_LEAST.items():
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} = {getattr(self, name)} is below {least}")
        for name, most in (("learning_rate", 1.0), ("clip", math.inf), ("held_out", 0.9)):
            if not 0 < getattr(self, name) <= most:
                raise ConfigurationError(f"{name} = {getattr(self, name)} is not above 0 and at most {most:g}")

    def learning_rate_at(self, step: int, horizon: int) -> float:
        """The learning rate of a step, counted from 0; `horizon` is the number of steps after which it would be 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.schedule == "constant" or horizon <= self.warmup:
            return self.learning_rate
        gone = min(1.0, (step - self.warmup) / (horizon - self.warmup))
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * gone))

    def to_json(self) -> dict[str, Any]:
        """Plain values, for cards and checkpoints."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe of a card. Raises ConfigurationError on a name this version does not know."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ConfigurationError(f"the recipe has settings this version does not know: {', '.join(unknown)}")
        return cls(**values)


# The paper (section 4, Implementation Details) prints rank, scale, epochs, learning rate, 4 bits and 90:10; schedule,
# warm-up and batch are ours, and so is that there is no dropout: a step is then the same wherever it is computed.
PRESETS: dict[str, Recipe] = {"paper": Recipe()}


@dataclass(frozen=True, slots=True)
class Limits:
    """Where training stops at the latest: after so many steps, after so many minutes of training, or neither.

    `horizon` is the step at which the schedule ends; None: the last step, which with `max_minutes` is estimated from
    the speed of the first steps.
    """

    max_steps: int | None = None
    max_minutes: float | None = None
    horizon: int | None = None
