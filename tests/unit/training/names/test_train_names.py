"""A whole run of all phases on the tiny model, through the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from eat_worker.models.adapter import WEIGHTS, check_adapter, read_card
from eat_worker.training.names import tuning

Eat = Callable[..., Any]


@pytest.fixture
def words(source_files: dict[str, Any], tiny_qwen_folder: Path) -> list[str]:
    (english,) = source_files["english"]
    words = ["train", "names", str(english), "--eacl", str(source_files["eacl"]), "--news", str(source_files["news"])]
    return [*words, "--base", str(tiny_qwen_folder), "--threads", "1", "--max-steps", "2"]


def test_a_run_of_all_phases_leaves_an_adapter_with_its_cards(
    eat: Eat, words: list[str], tiny_qwen_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a"
    done = eat(*words, "--out", str(out), "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["adapter"] == str(out)
    assert [(one["phase"], one["steps"]) for one in told["phases"]] == [("first", 2), ("second", 2), ("third", 2)]
    assert check_adapter(out, tiny_qwen_folder, tmp_path / "digests").mixed == ()
    card = read_card(out)
    assert card is not None
    assert (card.r, card.alpha, card.data) == (4, 8, told["data"])
    assert card.settings["phases"] == told["phases"]
    assert card.settings["prompts"] == "tuned"
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert "| first | 24 of " in readme
    assert card.weights in readme
    assert "{" not in readme
    # Each phase went on from the one before and is kept; the adapter is the mean of the last two.
    first, second, third = (load_file(out / f"{name}-phase" / WEIGHTS) for name in ("first", "second", "third"))
    mean = load_file(out / WEIGHTS)
    assert any(not first[name].equal(second[name]) for name in first)
    assert any(not second[name].equal(third[name]) for name in second)
    for name, tensor in mean.items():
        assert tensor.equal(((second[name].float() + third[name].float()) / 2).bfloat16())
    digests = {name: sha256((out / f"{name}-phase" / WEIGHTS).read_bytes()) for name in ("second", "third")}
    assert card.settings["mean_of"] == {name: digest.hexdigest() for name, digest in digests.items()}
    assert all(digest.hexdigest() in readme for digest in digests.values())
    assert not list(out.rglob("checkpoint.pt"))


def test_a_run_that_died_in_the_second_phase_keeps_the_first(
    eat: Eat, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, learn = tmp_path / "a", tuning._learn

    def dies(job: Any, lesson: Any, *rest: Any, **more: Any) -> Any:
        if lesson.name == "second":
            raise KeyboardInterrupt
        return learn(job, lesson, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(tuning, "_learn", dies)
        assert eat(*words, "--out", str(out)).code == 130
    first = (out / "first-phase" / "adapter_model.safetensors").stat().st_mtime_ns
    assert "exists already; add --resume" in eat(*words, "--out", str(out)).err
    done = eat(*words, "--out", str(out), "--resume")
    assert done.code == 0, done.err
    assert done.out == f"{out}\n"
    assert "second phase: 2 steps in " in done.err
    assert (out / "first-phase" / "adapter_model.safetensors").stat().st_mtime_ns == first
    assert "is finished" in eat(*words, "--out", str(out), "--resume").err


def test_sources_that_are_not_there_are_an_error(eat: Eat, words: list[str], tmp_path: Path) -> None:
    words[words.index("--news") + 1] = str(tmp_path / "no")
    done = eat(*words, "--out", str(tmp_path / "a"))
    assert done.code != 0
    assert "holds no en.jsonl" in done.err
    assert not (tmp_path / "a").exists()
