"""The seeded simulator, `benchmarks/simulation.py`, run over many seeds: the same state machine, simulated faults."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from campaigns.record import Outcome

SIMULATOR = Path(__file__).resolve().parents[1] / "simulation.py"


def simulation(outcome: Outcome, folder: Path, *, seeds: int, mutants: int, tell: Callable[[str], None]) -> None:
    """So many seeds; no invariant may be violated by any. Then every mutant, over at most `mutants` seeds."""
    if not SIMULATOR.exists():
        outcome.skipped = "there is no simulator in this checkout"
        return
    report = folder / "simulation.json"
    folder.mkdir(parents=True, exist_ok=True)
    tell(f"{seeds} seeds")
    command = [sys.executable, str(SIMULATOR), "--seeds", str(seeds), "--mutants", str(mutants)]
    command += ["--json", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not report.exists():
        raise RuntimeError(f"the simulator ended with {done.returncode}: {done.stderr[-500:]}")
    found = json.loads(report.read_text(encoding="utf-8"))
    mutation = found.pop("mutation")
    del mutation["caught_by"]  # a story for each, too long to be kept
    outcome.counts |= {**found, **{f"mutation: {name}": value for name, value in mutation.items()}}
    outcome.at_least("seeds", seeds, found["seeds"])
    outcome.at_most("seeds with a violation", 0, found["violations"])
    outcome.at_least("mutants", 20, mutation["mutants"])
    outcome.at_least("% of the mutants caught", 95, round(100 * mutation["caught"] / mutation["mutants"], 1))
