"""What the simulation is worth: deliberate faults of the state machine, nearly all of which it must see."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
RUNNER = HERE.parents[1] / "benchmarks" / "simulation.py"
SEEDS = 400  # the last ones are seen by one world of two hundred


@pytest.mark.timeout(900)
def test_nearly_every_mutant_is_seen_by_worlds_in_which_the_product_does_no_wrong(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    file = tmp_path / "record.json"
    command = [sys.executable, str(RUNNER), "--seeds", str(SEEDS), "--mutants", str(SEEDS), "--json", str(file)]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-20_000:]
    record = json.loads(file.read_text())
    assert (record["first"], record["seeds"], record["violations"]) == (0, SEEDS, 0)
    mutation = record["mutation"]
    assert mutation["mutants"] >= 50
    assert mutation["caught"] >= 0.95 * mutation["mutants"], mutation["survivors"]


def test_a_mutant_that_finds_nothing_to_change_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    database, mutants = importlib.import_module("database"), importlib.import_module("mutants")
    from eat_worker.storage import leases

    ground = database.Ground()
    for change in (mutants.Sql(leases.HEARTBEAT, "no such words", ""), mutants.Code(leases, "MAX_EXPIRIES", 5)):
        with pytest.raises(LookupError), mutants.mutated(ground, mutants.Mutant("none", (change,))):
            pass
    before = ground.sql(leases.HEARTBEAT)
    with mutants.mutated(ground, mutants.Mutant("some", (mutants.Sql(leases.HEARTBEAT, "'running'", "'queued'"),))):
        assert ground.sql(leases.HEARTBEAT) == before.replace("'running'", "'queued'") != before
    assert ground.sql(leases.HEARTBEAT) == before
    ground.sqlite.close()
