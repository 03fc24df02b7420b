"""The loss curve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eat_worker.training.adapter.curve import smoothed, write_curve
from eat_worker.training.adapter.loop import History


def test_the_average_begins_at_the_first_loss_and_follows_slowly() -> None:
    assert smoothed([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert smoothed([4.0, 0.0], keep=0.5) == pytest.approx([4.0, 4 / 3])


def test_the_curve_is_written_for_people_and_for_programs(tmp_path: Path) -> None:
    history = History(
        losses=[
            {"step": step, "loss": 3.0 / step, "learning_rate": 0.1, "tokens": 9, "seconds": 1.0}
            for step in range(1, 9)
        ],
        looks=[{"step": 0, "loss": 3.1}, {"step": 8, "loss": 0.5}],
        tokens=72,
        seconds=9.5,
        horizon=8,
        stopped="epochs",
    )
    write_curve(tmp_path, history, "Adapter of tiny")
    kept = json.loads((tmp_path / "losses.json").read_text(encoding="utf-8"))
    assert kept["looks"] == [{"step": 0, "loss": 3.1}, {"step": 8, "loss": 0.5}]
    assert kept["losses"][2]["loss"] == 1.0
    assert (kept["tokens"], kept["stopped"]) == (72, "epochs")
    assert (tmp_path / "losses.png").stat().st_size > 10_000
