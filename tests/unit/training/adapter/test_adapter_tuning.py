"""A whole run on the tiny model: what it leaves, kill -9 and resume, and the same again from its card."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.models.adapter import check_adapter, read_card
from eat_worker.training.adapter.card import Trained, read_repeat
from eat_worker.training.adapter.recipe import Limits
from eat_worker.training.adapter.tuning import Job, tune


def run(job: Job) -> Trained:
    return tune(job, lambda _, __: None)


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in json.loads((folder / "losses.json").read_text(encoding="utf-8"))["losses"]]


def test_a_run_leaves_an_adapter_that_belongs_to_its_base(job: Job, tmp_path: Path) -> None:
    trained = run(replace(job, limits=Limits(max_steps=3)))
    weights = ["adapter_config.json", "adapter_model.safetensors"]
    told = ["README.md", "eat_adapter.json", "losses.json", "losses.png"]
    assert sorted(path.name for path in job.folder.iterdir()) == sorted(weights + told)
    assert check_adapter(job.folder, job.base, tmp_path / "digests").mixed == ()
    card = read_card(job.folder)
    assert card is not None
    assert (card.r, card.alpha, card.data) == (8, 16, trained.data["sha256"])
    assert card.settings["recipe"] == job.recipe.to_json()
    assert card.settings["run"]["steps"] == 3
    assert (job.folder / "losses.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "Accuracy was not measured." in (job.folder / "README.md").read_text(encoding="utf-8")


def test_the_same_again_from_the_card(job: Job, tmp_path: Path) -> None:
    run(replace(job, limits=Limits(max_steps=3)))
    again = read_repeat(job.folder)
    repeated = replace(
        job, folder=tmp_path / "again", recipe=again.recipe, limits=again.limits, method=again.method, repeats=again
    )
    run(repeated)
    assert losses(tmp_path / "again") == losses(job.folder)
    weights = [(folder / "adapter_model.safetensors").read_bytes() for folder in (job.folder, tmp_path / "again")]
    assert weights[0] == weights[1]


def test_a_card_is_not_made_again_with_other_pairs_or_another_base(job: Job, tiny_models: Any, tmp_path: Path) -> None:
    run(replace(job, limits=Limits(max_steps=1)))
    again = read_repeat(job.folder)
    fewer = tmp_path / "fewer.jsonl"
    fewer.write_text("".join(job.files[0].read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    other = replace(job, folder=tmp_path / "again", repeats=again)
    with pytest.raises(ConfigurationError, match="the card names other pairs"):
        run(replace(other, files=(fewer,)))
    with pytest.raises(ConfigurationError, match="the card names another base: the weights of this one differ"):
        run(replace(other, base=tiny_models.tiny_qwen(tmp_path / "base", seed=1)))
    assert not other.folder.exists()


CHILD = """
import pickle, sys
from eat_worker.training.adapter import loop
from eat_worker.training.adapter.tuning import tune
if __name__ == "__main__":
    loop.EVERY = 2
    def tell(what, history):
        print(history.step if history else what, flush=True)
    tune(pickle.load(open(sys.argv[1], "rb")), tell)
"""


def test_a_killed_run_goes_on_with_the_losses_of_an_undisturbed_one(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    from eat_worker.training.adapter import loop

    monkeypatch.setattr(loop, "EVERY", 2)
    job = replace(job, limits=Limits(max_steps=7))
    run(replace(job, folder=tmp_path / "whole"))
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    (tmp_path / "child.py").write_text(CHILD, encoding="utf-8")
    child = subprocess.Popen(
        [sys.executable, str(tmp_path / "child.py"), str(tmp_path / "job")],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert child.stdout is not None
    for line in child.stdout:
        if line == "5\n":  # behind the checkpoint of step 4
            child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    assert not (job.folder / "eat_adapter.json").exists()
    assert (job.folder / "checkpoint.pt").exists()
    with pytest.raises(ConfigurationError, match="exists already; add --resume to continue"):
        run(job)
    run(replace(job, resume=True))
    assert losses(job.folder) == losses(tmp_path / "whole")
    with pytest.raises(ConfigurationError, match="is finished"):
        run(replace(job, resume=True))


def test_accuracy_is_measured_before_and_after_in_processes_of_their_own(job: Job) -> None:
    trained = run(replace(job, measured=2, limits=Limits(max_steps=1)))
    assert trained.before is not None
    assert trained.after is not None
    for found in (trained.before, trained.after):
        assert set(found) == {"bound", "free"}
        assert found["bound"]["all"]["pairs"] == trained.data["held_out"] > 0
    readme = (job.folder / "README.md").read_text(encoding="utf-8")
    assert "| language | pairs | bound, base | bound, adapter | free, base | free, adapter |" in readme
    kept = json.loads((job.folder / "accuracy-before.json").read_text(encoding="utf-8"))
    assert kept == trained.before


def test_chats_that_are_all_too_long_are_an_error(job: Job) -> None:
    with pytest.raises(ConfigurationError, match="no chat has at most 8 tokens; raise --longest"):
        run(replace(job, recipe=replace(job.recipe, longest=8)))


def test_nothing_to_resume_is_an_error(job: Job) -> None:
    with pytest.raises(ConfigurationError, match="is not there: nothing to resume"):
        run(replace(job, resume=True))
