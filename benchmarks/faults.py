"""Fault campaigns with real processes and real servers. Writes faults.json and faults.md beside this file.

    python benchmarks/faults.py [--scale full|tenth|small] [--only NAME ...] [--seed N] [--jobs N] [--long] [--out DIR]
                                [--engine NAME --model NAME]

`full` has the sizes of the goals, `tenth` is a rehearsal, `small` is part of `make test`. Campaigns that run replace
their own entries in the files and leave the others, so that the whole may be run in pieces. Each runs in a process of
its own: one that breaks has missed a goal, and the others go on. The exit code is 3 when a goal was missed. All
processes and servers are started here and ended by their ids; PostgreSQL runs as an unprivileged user.

Minutes of the full scale on two cores that do nothing else: simulation 26, kill loop 14 (Redis and PostgreSQL) and 10
(Valkey and SQLite), real model 15, network 11, broker flushed 2, database away 5, for ten minutes 11, SIGSTOP 2 and 2,
disk full 2, overhead 2. Those from `broker flushed` to `disk full` sleep more than they work and may run side by side
(--jobs 3); `overhead` must run alone.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from campaigns import record
from campaigns.freezing import freezing
from campaigns.full_disk import full_disk
from campaigns.kill_loop import kill_loop, undisturbed
from campaigns.network import network
from campaigns.outages import away, flushed
from campaigns.overhead import overhead
from campaigns.real_model import real_model
from campaigns.record import Outcome
from campaigns.servers import Missing
from campaigns.simulation import simulation

HERE = Path(__file__).resolve().parent
REAL, LONG = "real model", "database away for ten minutes"
JOBS = {"full": 1, "tenth": 1, "small": 3}  # the small campaigns sleep more than they work
LEASE_SECONDS = 60.0  # the product's default
PAIRS = {"postgres": "Redis and PostgreSQL", "sqlite": "Valkey and SQLite"}
ENTRY = "entry.json"
SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "full": {
        "simulation": {"seeds": 100_000, "mutants": 5_000},
        "kill loop": {"documents": 20_000, "kills": 320, "points": 20},
        "broker flushed": {"flushes": 25},
        "database away": {"outages": 12, "between": (5.0, 30.0)},
        "SIGSTOP": {"stops": 32},
        "network": {"events": 56},
        "disk full": {"pages": 60, "limits": 40, "errors": 40, "tmpfs": 20},
        "overhead": {"documents": 2_000, "batch": 32, "batched": 500},
        "real model": {"documents": 40, "kills": 10},
    },
    "tenth": {
        "simulation": {"seeds": 10_000, "mutants": 2_000},
        "kill loop": {"documents": 2_000, "kills": 40, "points": 8},
        "broker flushed": {"flushes": 5},
        "database away": {"outages": 2, "between": (5.0, 30.0)},
        "SIGSTOP": {"stops": 5},
        "network": {"events": 8},
        "disk full": {"pages": 9, "limits": 6, "errors": 6, "tmpfs": 3},
        "overhead": {"documents": 1_000, "batch": 32, "batched": 300},
        "real model": {"documents": 6, "kills": 3},
    },
    "small": {
        "kill loop": {"documents": 500, "kills": 12, "points": 2},
        "broker flushed": {"flushes": 3},
        "database away": {"outages": 1, "between": (3.0, 5.0)},
        "SIGSTOP": {"stops": 2},
        "network": {"events": 3, "kinds": ("delay", "cut", "half-open")},
        "disk full": {"pages": 4, "limits": 2, "errors": 4, "tmpfs": 2},
    },
}
Run = Callable[[Outcome, Path], None]


def campaigns(chosen: argparse.Namespace, folder: Path, tell: Callable[[str], None]) -> dict[str, Run]:
    """Every campaign of the scale, by name, in the order in which they run and are reported."""
    sizes, seed = SIZES[chosen.scale], chosen.seed
    found: dict[str, Run] = {}

    def add(name: str, run: Callable[..., None], key: str = "", **given: Any) -> None:
        found[name] = lambda outcome, place: run(outcome, place, **sizes[key or name], **given, tell=tell)

    if "simulation" in sizes:
        add("simulation", simulation)
    for servers, pair in PAIRS.items():

        def killed(outcome: Outcome, place: Path, servers: str = servers) -> None:
            digest = undisturbed(folder, sizes["kill loop"]["documents"])
            kill_loop(outcome, place, servers=servers, seed=seed, digest=digest, tell=tell, **sizes["kill loop"])

        found[f"kill loop, {pair}"] = killed
    add("network", network, lease=LEASE_SECONDS, seed=seed)
    if REAL in sizes:
        add(REAL, real_model, settings={"engine": chosen.engine, "model": chosen.model}, seed=seed)
    add("broker flushed", flushed, seed=seed)
    found["database away"] = lambda outcome, place: away(
        outcome, place, seconds=_durations(sizes["database away"], seed), seed=seed, tell=tell
    )
    if chosen.long:
        found[LONG] = lambda outcome, place: away(outcome, place, seconds=[600.0], seed=seed, tell=tell)
    for servers, pair in PAIRS.items():
        add(f"SIGSTOP, {pair}", freezing, "SIGSTOP", servers=servers, seed=seed)
    add("disk full", full_disk, seed=seed)
    if "overhead" in sizes:
        add("overhead", overhead)
    return found


def _durations(size: dict[str, Any], seed: int) -> list[float]:
    chance = random.Random(seed)
    return [chance.uniform(*size["between"]) for _ in range(size["outages"])]


def carried_out(name: str, run: Run, place: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """One campaign's entry; a campaign that breaks has missed a goal of its own."""
    outcome, on, began = Outcome(name), record.machine(), time.monotonic()
    try:
        run(outcome, place)
    except Missing as error:
        outcome.skipped = str(error)
    except Exception as error:  # noqa: BLE001  # recorded, and the exit code tells
        traceback.print_exc()
        broken_off(outcome, f"{type(error).__name__}: {error}".replace(str(place), "FOLDER"))
    return entry_of(outcome, chosen, on, time.monotonic() - began)


def broken_off(outcome: Outcome, why: str) -> None:
    """A campaign that did not come to its end."""
    outcome.counts["broke off"] = why
    outcome.holds("the campaign came to its end", true=False)


def entry_of(outcome: Outcome, chosen: argparse.Namespace, on: str, seconds: float) -> dict[str, Any]:
    """What is written of a campaign, with the command that repeats it."""
    command = f"python benchmarks/faults.py --scale {chosen.scale} --seed {chosen.seed}"
    command += f" --only {shlex.quote(outcome.campaign)}{' --long' if outcome.campaign == LONG else ''}"
    if outcome.campaign == REAL:
        command += f" --engine {chosen.engine} --model {chosen.model}"
    return record.as_json(outcome, command=command, seed=chosen.seed, on=on, seconds=seconds)


class Supervisor:
    """Runs each campaign in a process of its own, so that whatever one does to itself, the others go on."""

    def __init__(self, chosen: argparse.Namespace, folder: Path, order: list[str]) -> None:
        self.missed = 0
        self._chosen, self._folder, self._order = chosen, folder, order
        self._running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}

    def run(self, names: Sequence[str]) -> None:
        """All of them, at most `--jobs` at a time; what each found is written as soon as it ends."""
        waiting = deque(names)
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self._chosen.jobs:
                    self._start(waiting.popleft())
                for name, (child, _) in list(self._running.items()):
                    if child.poll() is not None:
                        self._ended(name)
                time.sleep(0.1)
        finally:
            for child, _ in self._running.values():
                child.terminate()
            for name, (child, _) in self._running.items():
                child.wait()
                end_all_in(self._place(name))

    def _start(self, name: str) -> None:
        print(f"== {name}", flush=True)
        command = [sys.executable, __file__, *sys.argv[1:], "--one", name, "--folder", str(self._folder)]
        self._running[name] = subprocess.Popen(command), time.monotonic()

    def _place(self, name: str) -> Path:
        return place_of(name, self._order, self._folder)

    def _ended(self, name: str) -> None:
        child, began = self._running.pop(name)
        end_all_in(self._place(name))
        file = self._place(name) / ENTRY
        if file.exists():
            entry = json.loads(file.read_text(encoding="utf-8"))
        else:
            outcome = Outcome(name)
            broken_off(outcome, f"its process ended with {child.returncode}")
            entry = entry_of(outcome, self._chosen, record.machine(), time.monotonic() - began)
        record.write(self._chosen.out, [entry], _in_file(self._order, self._chosen.out))
        self.missed += _tell(entry)


def main() -> int:
    """Run what was asked for; 3 when a goal was missed."""
    chosen = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whatever was started is ended on the way out
    if chosen.one:
        return alone(chosen)
    with tempfile.TemporaryDirectory(prefix="eatf", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)  # PostgreSQL's user has to get through
        every = list(campaigns(chosen, Path(name), print))
        wanted = [one for one in every if not chosen.only or any(one.startswith(start) for start in chosen.only)]
        if not wanted:
            sys.exit(f"no such campaign at this scale; there are: {', '.join(every)}")
        chosen.out.mkdir(parents=True, exist_ok=True)
        chosen.jobs = chosen.jobs or JOBS[chosen.scale]
        supervisor = Supervisor(chosen, Path(name), every)
        supervisor.run(wanted)
    return 3 if supervisor.missed else 0


def alone(chosen: argparse.Namespace) -> int:
    """One campaign in this very process; its entry goes into the folder. It ends when its supervisor does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    every = campaigns(chosen, chosen.folder, lambda words: print(f"   {chosen.one}: {words}", flush=True))
    place = place_of(chosen.one, list(every), chosen.folder)
    place.mkdir(mode=0o711)
    tempfile.tempdir = str(place)  # whatever is started here has its files below, and can be told by that
    entry = carried_out(chosen.one, every[chosen.one], place, chosen)
    (place / ENTRY).write_text(json.dumps(entry, ensure_ascii=False), encoding="utf-8")
    return 0


def place_of(campaign: str, every: list[str], folder: Path) -> Path:
    """The folder of a campaign; short, because sockets lie in it."""
    return folder / str(every.index(campaign))


def end_all_in(place: Path) -> None:
    """Kill the processes that have their files there: what a campaign leaves behind that could not end them itself."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(
                word.startswith(f"{place}/") or f"={place}/" in word for word in (process.cwd(), *process.cmdline())
            ):
                process.kill()


def _in_file(every: list[str], out: Path) -> list[str]:
    """This scale's campaigns first, then whatever else stands in the file."""
    return [*every, *(name for name in record.merged(out / "faults.json", []) if name not in every)]


def _tell(entry: dict[str, Any]) -> int:
    """Print a campaign's goals; how many were missed."""
    missed = [goal for goal in entry["goals"] if not goal["met"]]
    words = [f"   MISSED {goal['what']}: {goal['measured']}, goal {goal['goal']}" for goal in missed]
    if entry["skipped"]:
        words.append(f"   skipped: {entry['skipped']}")
    met = len(entry["goals"]) - len(missed)
    words.append(f"   {entry['campaign']}: {met} of {len(entry['goals'])} goals met in {entry['seconds']} s")
    print("\n".join(words), flush=True)
    return len(missed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=tuple(SIZES), default="full")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="campaigns whose names begin so")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--engine", default="llamacpp", help="engine of the campaign with a real model")
    parser.add_argument("--model", default="qwen2.5-coder-0.5b-instruct-q4_k_m", help="its model")
    parser.add_argument("--long", action="store_true", help="the database is away for ten minutes too")
    parser.add_argument("--jobs", type=int, help="campaigns at a time (full: 1, small: 3)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of faults.json and faults.md")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # how a campaign's own process is told which it is
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
