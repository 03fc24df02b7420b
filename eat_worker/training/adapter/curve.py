"""The loss curve of a training run, for people as a picture and for programs as JSON.

Knows the history; knows no model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from eat_worker.training.adapter.loop import History

JSON_NAME, PICTURE_NAME = "losses.json", "losses.png"


def write_curve(folder: Path, history: History, title: str) -> None:
    """Write losses.json and losses.png."""
    (folder / JSON_NAME).write_text(json.dumps(asdict(history), indent=1), encoding="utf-8")
    _draw(folder / PICTURE_NAME, history, title)


def smoothed(losses: Sequence[float], keep: float = 0.9) -> list[float]:
    """An exponential moving average that starts at the first value's height, without a bias towards it."""
    mean, weight, line = 0.0, 0.0, []
    for loss in losses:
        mean, weight = keep * mean + (1 - keep) * loss, keep * weight + (1 - keep)
        line.append(mean / weight)
    return line


def _draw(path: Path, history: History, title: str) -> None:
    # Figure by itself, not pyplot: that would look for a display and keep every figure.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = [entry["step"] for entry in history.losses]
    losses = [entry["loss"] for entry in history.losses]
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(steps, losses, color="#9db8d9", linewidth=1, label="training, each step")
    axes.plot(steps, smoothed(losses), color="#1f5fa8", linewidth=2, label="training, moving average")
    axes.plot(
        [look["step"] for look in history.looks],
        [look["loss"] for look in history.looks],
        color="#c2410c", marker="o", linewidth=2, label="held-out pages",
    )  # fmt: skip
    axes.set_xlabel("step")
    axes.set_ylabel("loss per answer token (nats)")
    axes.set_ylim(bottom=0)
    axes.set_title(title)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path)
