"""Cards: what they tell, and cards that tell of no run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.method.config import MethodConfig
from eat_worker.models.adapter import AdapterCard, write_card
from eat_worker.training.adapter.card import Trained, is_finished, read_repeat, write_cards
from eat_worker.training.adapter.loop import History
from eat_worker.training.adapter.recipe import Recipe


def found(exact: int) -> dict[str, Any]:
    counts = {"pairs": 4, "exact": exact}
    way = {"all": counts, "within": {"pairs": 0, "exact": 0}, "languages": {"ko": counts}, "outcomes": {"exact": 4}}
    return {"bound": way, "free": way}


@pytest.fixture
def trained(tiny_qwen_folder: Path) -> Trained:
    return Trained(
        base=tiny_qwen_folder,
        parts={"weights": "w" * 64, "config": "c" * 64},
        data={"sha256": "d" * 64, "files": ["ko.jsonl"], "train": 9, "held_out": 1, "languages": {"ko": 9}},
        recipe=Recipe(epochs=2, seed=5),
        method=MethodConfig(),
        history=History(
            losses=[{"step": 1, "loss": 2.5}, {"step": 2, "loss": 1.25}],
            looks=[{"step": 0, "loss": 2.0}, {"step": 2, "loss": 1.5}],
            tokens=500,
            seconds=12.04,
            horizon=7,
            stopped="max_minutes",
        ),
        left_out=3,
        before=found(1),
        after=found(3),
    )


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    made = tmp_path / "adapter"
    made.mkdir()
    (made / "adapter_model.safetensors").write_bytes(b"weights")
    write_cards(made, trained, threads=2, digests=tmp_path)
    return made


def test_a_card_says_what_is_needed_to_make_the_run_again(folder: Path) -> None:
    again = read_repeat(folder)
    assert again.recipe == Recipe(epochs=2, seed=5)
    assert (again.limits.max_steps, again.limits.horizon, again.limits.max_minutes) == (2, 7, None)
    assert again.method == MethodConfig()
    assert again.base == {"weights": "w" * 64, "config": "c" * 64}
    assert again.data == "d" * 64
    assert is_finished(folder)


def test_the_card_for_people_tells_figures_and_digests(folder: Path) -> None:
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert "| steps | 2, 500 tokens in 12 s; ended by max_minutes |" in page
    assert "| loss per answer token | 2.500 at first, 1.250 at last |" in page
    assert "| ... of held-out pages | 2.000 at first, 1.500 at last |" in page
    assert "| all | 4 | 25.0% | 75.0% | 25.0% | 75.0% |" in page
    assert "| not at the beginning | 0 | – | – | – | – |" in page
    assert "d" * 64 in page
    assert "| seed | 5 |" in page


def test_a_folder_without_a_card_tells_of_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no eat_adapter"):
        read_repeat(tmp_path)


def test_a_card_that_no_run_wrote_is_refused(tmp_path: Path) -> None:
    write_card(tmp_path, AdapterCard("b", "w", "", 8, 16, ("q_proj",), "a"))
    with pytest.raises(ConfigurationError, match="describes no training run"):
        read_repeat(tmp_path)


def test_a_card_of_other_prompts_is_refused(folder: Path) -> None:
    path = folder / "eat_adapter.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["settings"]["prompt_set"] = "0" * 64
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="this version has other prompts"):
        read_repeat(folder)
