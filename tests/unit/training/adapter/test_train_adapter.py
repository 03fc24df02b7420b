"""`eat train adapter`: its errors, and what it says."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Eat = Callable[..., Any]


def test_a_missing_library_names_the_extra(
    eat: Eat, pairs_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eat_worker.cli import train_adapter

    found = importlib.util.find_spec
    monkeypatch.setattr(train_adapter, "find_spec", lambda name: None if name == "peft" else found(name))
    done = eat("train", "adapter", str(pairs_file), "--base", str(tmp_path), "--out", str(tmp_path / "a"))
    assert done.code == 78
    assert "peft is not installed; run: pip install 'eat_worker[train]'" in done.err


def test_a_missing_base_says_how_to_make_one(eat: Eat, pairs_file: Path, tmp_path: Path) -> None:
    done = eat("train", "adapter", str(pairs_file), "--base", str(tmp_path / "no"), "--out", str(tmp_path / "a"))
    assert done.code == 78
    assert "no such folder; make one from a GGUF file with: eat model convert" in done.err


def test_a_base_that_is_no_model_is_refused(eat: Eat, pairs_file: Path, tmp_path: Path) -> None:
    done = eat("train", "adapter", str(pairs_file), "--base", str(tmp_path), "--out", str(tmp_path / "a"))
    assert done.code == 78
    assert "lacks model.safetensors" in done.err
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("options", "ended"),
    [
        ("--preset llama", (78, "preset 'llama' is not one of: paper")),
        ("--epochs 0", (78, "epochs = 0 is below 1")),
        ("--base-precision int8", (2, "nf4")),
        ("--from-card x --seed 3", (2, "give neither beside it")),
        ("--from-card x --max-steps 3", (2, "give neither beside it")),
        ("--from-card x", (78, "has no eat_adapter.json")),
        ("--resume", (78, "is not there: nothing to resume")),
    ],
)
def test_what_cannot_be_is_refused(  # noqa: PLR0917  # fixtures
    eat: Eat, pairs_file: Path, tiny_qwen_folder: Path, tmp_path: Path, options: str, ended: tuple[int, str]
) -> None:
    out = str(tmp_path / "a")
    done = eat("train", "adapter", str(pairs_file), "--base", str(tiny_qwen_folder), "--out", out, *options.split())
    assert done.code == ended[0]
    assert ended[1] in done.err


def test_a_folder_that_is_there_is_not_written_to(
    eat: Eat, pairs_file: Path, tiny_qwen_folder: Path, tmp_path: Path
) -> None:
    done = eat("train", "adapter", str(pairs_file), "--base", str(tiny_qwen_folder), "--out", str(tmp_path))
    assert done.code == 78
    assert "exists already; add --resume to continue, or name another folder" in done.err


def test_a_run_tells_its_figures(eat: Eat, pairs_file: Path, tiny_qwen_folder: Path, tmp_path: Path) -> None:
    words = ["train", "adapter", str(pairs_file), "--base", str(tiny_qwen_folder), "--base-precision", "bf16"]
    words += [
        "--measured",
        "0",
        "--max-steps",
        "2",
        "--batch",
        "2",
        "--longest",
        "2048",
        "--threads",
        "1",
        "--seed",
        "3",
    ]
    done = eat(*words, "--out", str(tmp_path / "a"), "--json")
    assert done.code == 0, done.err
    figures = json.loads(done.out)
    assert figures["adapter"] == str(tmp_path / "a")
    assert (figures["steps"], figures["horizon"], figures["stopped"]) == (2, 2, "max_steps")
    assert (figures["before"], figures["after"]) == (None, None)
    done = eat(*words, "--out", str(tmp_path / "b"))
    assert done.out == f"{tmp_path / 'b'}\n"
    assert "2 steps in " in done.err
    assert f"loss {figures['loss']['first']:.3f} -> {figures['loss']['last']:.3f}" in done.err
