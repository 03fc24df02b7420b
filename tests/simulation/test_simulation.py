"""The product's state machine under every fault, in thousands of worlds; what is simulated is in the modules beside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUNNER = Path(__file__).resolve().parents[2] / "benchmarks" / "simulation.py"
SEEDS = 5000
FAULTS = 38  # kinds


def simulate(*options: str, hash_seed: str = "random") -> subprocess.CompletedProcess[str]:
    """The runner in processes of its own, whose coverage is not measured: tracing would make it five times slower."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    environ["PYTHONHASHSEED"] = hash_seed
    return subprocess.run([sys.executable, str(RUNNER), *options], env=environ, capture_output=True, text=True)


def record_of(file: Path, *options: str, hash_seed: str = "random") -> dict[str, Any]:
    ended = simulate("--json", str(file), *options, hash_seed=hash_seed)
    assert ended.returncode == 0, ended.stderr[-20_000:]
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@pytest.mark.timeout(900)
def test_no_world_violates_an_invariant(tmp_path: Path) -> None:
    record = record_of(tmp_path / "record.json", "--seeds", str(SEEDS))
    assert (record["seeds"], record["violations"]) == (SEEDS, 0)
    # The worlds are as bad as they are meant to be: every kind of fault struck often ...
    assert len(record["seen"]) == FAULTS
    assert min(record["seen"].values()) > SEEDS / 200, record["seen"]
    assert record["faults"] > 10 * SEEDS
    # ... and hit something: leases ran out, zombies were refused, rounds were spooled and asked again.
    met = record["met"]
    often = ("worker_died", "attempt_expired", "attempt_released", "hint_refused", "write_refused", "round_asked_again")
    assert min(met[name] for name in (*often, "attempt_engine_broken", "attempt_fault")) > SEEDS / 20, met
    assert min(met[name] for name in ("spooled", "restored", "attempt_retry")) > SEEDS / 200, met
    # Most documents came through all the same, and at little cost.
    assert record["documents"]["done"] > 0.7 * sum(record["documents"].values())
    assert met["round_asked_again"] < 0.15 * met["round_asked"]


def test_a_seed_tells_the_same_story_twice() -> None:
    first, second = (simulate("--replay", "7", hash_seed=hash_seed) for hash_seed in ("1", "2"))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert "serves chat.a" in first.stdout
    assert "nemesis" in first.stdout


def test_seeds_end_alike_whatever_ran_before_them_and_beside_them(tmp_path: Path) -> None:
    alone = record_of(tmp_path / "1.json", "--seeds", "70", "--jobs", "1", hash_seed="1")
    beside = record_of(tmp_path / "2.json", "--seeds", "70", "--jobs", "2", hash_seed="2")
    others = record_of(tmp_path / "3.json", "--seeds", "70", "--first", "1", "--jobs", "1")
    assert alone["digest"] == beside["digest"] != others["digest"]


def test_a_violated_seed_is_told_with_the_command_that_shows_it_again(tmp_path: Path) -> None:
    mutant = "a live lease is taken"
    ended = simulate("--seeds", "60", "--as", mutant, "--json", str(tmp_path / "record.json"))
    assert ended.returncode == 1
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["violations"] == len(record["violated_seeds"]) > 0
    seed = record["violated_seeds"][0]
    assert f"seed {seed} is violated:\n" in ended.stderr
    command = f"python benchmarks/simulation.py --replay {seed} --as '{mutant}'\n"
    assert command in ended.stderr
    assert "the second run went another way" not in ended.stderr
    again = simulate("--replay", str(seed), "--as", mutant)
    assert again.returncode == 1
    assert "VIOLATION" in again.stdout
    assert simulate("--replay", str(seed)).returncode == 0
