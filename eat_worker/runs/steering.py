"""Steering runs: paused, resumed, cancelled, sooner or later than others."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from eat_worker.runs.opening import open_existing
from eat_worker.settings import Settings
from eat_worker.storage.values import Run


@dataclass(frozen=True, slots=True)
class Steered:
    """A run after an operator's command. `cancelled` counts the documents that the command ended."""

    run: str
    state: str
    priority: int
    cancelled: int = 0

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat pause --json`."""
        return asdict(self)


def pause(settings: Settings, run: str) -> Steered:
    """No document of the run is begun, and those in hand are given back after their round.

    Raises NotFound, EatError when the run has ended.
    """
    with open_existing(settings) as store:
        return _steered(store.operating.pause_run(run))


def resume(settings: Settings, run: str) -> Steered:
    """The run goes on; what it has is not asked again. Raises NotFound, EatError when the run has ended."""
    with open_existing(settings) as store:
        return _steered(store.operating.resume_run(run))


def cancel(settings: Settings, run: str) -> Steered:
    """Every document that has not ended is cancelled, for good. Raises NotFound, EatError when the run is complete."""
    with open_existing(settings) as store:
        return _steered(*store.operating.cancel_run(run))


def set_priority(settings: Settings, run: str, priority: int) -> Steered:
    """Documents of runs of higher priority are taken first. Raises NotFound."""
    with open_existing(settings) as store:
        return _steered(store.operating.set_priority(run, priority))


def _steered(run: Run, cancelled: int = 0) -> Steered:
    return Steered(run.spec.name, run.state, run.priority, cancelled)
