"""The simulation of tests/simulation, seed by seed: the product's state machine under every fault. Prints JSON.

    python benchmarks/simulation.py [--seeds 5000] [--first 0] [--jobs 2] [--mutants SEEDS] [--json FILE]
    python benchmarks/simulation.py [--seeds ... | --replay SEED] --as MUTANT

Each seed is a world of its own: documents, worker processes, a broker and a database on a virtual clock, and faults
drawn from the seed. `violations` must be 0. With --mutants, every deliberate fault of `mutants.py` runs through seeds
until one of them sees it, at most SEEDS. --replay tells what happened in one seed, line by line. With --as, the product
is the mutant of that name. The exit code is 1 when a seed is violated, or fewer than 95 % of the mutants are caught.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "simulation"))

from mutants import MUTANTS, mutated
from scenario import Simulator, Verdict, virtual
from swarm import KINDS, RATES, TROUBLES

MEMORY = Path("/dev/shm")  # where there is one, the files need no disk
CHUNK = 50
SHOWN = 10  # violated seeds that are told in full
ENOUGH = 0.95  # of the mutants

FAULTS = (*KINDS, *RATES, *(f"document_{kind}" for kind in TROUBLES))

Part = dict[str, Any]


class Here:
    """This process's simulator, made when the first seed asks for it, in a folder of its own below `folder`."""

    folder = Path()
    simulator: Simulator | None = None
    stack = ExitStack()

    @classmethod
    def work_in(cls, folder: Path) -> None:
        """Keep files there; whoever made it removes it."""
        cls.folder = folder

    @classmethod
    def get(cls) -> Simulator:
        """The one there is."""
        if cls.simulator is None:
            own = cls.folder / str(os.getpid())
            own.mkdir()
            cls.simulator = Simulator(cls.stack.enter_context(virtual()), own)
        return cls.simulator


def acting_as(mutant: str | None) -> AbstractContextManager[None]:
    """The product is the mutant of that name while the block lasts."""
    if mutant is None:
        return nullcontext()
    return mutated(Here.get().ground, next(one for one in MUTANTS if one.name == mutant))


def run_seeds(first: int, count: int, mutant: str | None) -> Part:
    """What these seeds came to."""
    with acting_as(mutant):
        return _run_seeds(first, count)


def _run_seeds(first: int, count: int) -> Part:
    simulator = Here.get()
    began = time.process_time()
    seen: Counter[str] = Counter()
    met: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    violated: dict[int, list[str]] = {}
    digests = sha256()
    longest = (0.0, first)
    virtual_seconds = 0.0
    for seed in range(first, first + count):
        verdict = simulator.run(seed)
        seen += verdict.seen
        met += verdict.met
        statuses += verdict.statuses
        digests.update(verdict.digest.encode())
        longest = max(longest, (verdict.seconds, seed))
        virtual_seconds += verdict.virtual
        if verdict.violations:
            violated[seed] = verdict.violations
    return {
        "seen": seen,
        "met": met,
        "digest": digests.hexdigest(),
        "statuses": statuses,
        "violated": violated,
        "longest": longest,
        "virtual": virtual_seconds,
        "cpu": time.process_time() - began,
    }


def hunt(mutant: str, seeds: int) -> Part:
    """The first seed that sees the mutant."""
    simulator = Here.get()
    began = time.process_time()
    found: Verdict | None = None
    with acting_as(mutant):
        for seed in range(seeds):
            verdict = simulator.run(seed)
            if verdict.violations:
                found = verdict
                break
    return {
        "mutant": mutant,
        "seed": found and found.seed,
        "seen_as": found and found.violations[0][:200],
        "cpu": time.process_time() - began,
    }


def simulated(pool: ProcessPoolExecutor, first: int, count: int, mutant: str | None) -> Part:
    """All seeds, over all processes."""
    chunks = [(at, min(CHUNK, first + count - at)) for at in range(first, first + count, CHUNK)]
    parts = list(pool.map(run_seeds, *zip(*chunks, strict=True), [mutant] * len(chunks)))
    seen: Counter[str] = sum((part["seen"] for part in parts), Counter(dict.fromkeys(FAULTS, 0)))
    met: Counter[str] = sum((part["met"] for part in parts), Counter())
    violated = {seed: what for part in parts for seed, what in part["violated"].items()}
    for seed, what in list(violated.items())[:SHOWN]:
        sys.stderr.write("".join(_story(seed, what, mutant)))
    cpu = sum(part["cpu"] for part in parts)
    longest, slowest = max(part["longest"] for part in parts)
    return {
        "seeds": count,
        "first": first,
        "violations": len(violated),
        "violated_seeds": sorted(violated),
        "documents": dict(sum((part["statuses"] for part in parts), Counter())),
        "faults": sum(seen.values()),
        "seen": {name: seen[name] for name in FAULTS},
        "met": dict(sorted(met.items())),
        "digest": sha256("".join(part["digest"] for part in parts).encode()).hexdigest(),
        "virtual_hours": round(sum(part["virtual"] for part in parts) / 3600, 1),
        "longest_seconds_to_finish_after_the_faults": round(longest, 1),
        "slowest_seed": slowest,
        "cpu_seconds": round(cpu, 1),
        "seeds_per_cpu_second": round(count / cpu, 1),
    }


def hunted(pool: ProcessPoolExecutor, seeds: int) -> Part:
    """All mutants, over all processes."""
    found = list(pool.map(hunt, [mutant.name for mutant in MUTANTS], [seeds] * len(MUTANTS)))
    survivors = [one["mutant"] for one in found if one["seed"] is None]
    for name in survivors:
        sys.stderr.write(f"nobody saw: {name}\n")
    return {
        "mutants": len(found),
        "caught": len(found) - len(survivors),
        "survivors": survivors,
        "seeds_each_at_most": seeds,
        "caught_by": {one["mutant"]: [one["seed"], one["seen_as"]] for one in found},
        "cpu_seconds": round(sum(one["cpu"] for one in found), 1),
    }


def _story(seed: int, violations: list[str], mutant: str | None) -> Iterator[str]:
    """What happened in a violated seed; the trace comes from a second, identical run."""
    with acting_as(mutant):
        again = Here.get().run(seed, traced=True)
    yield f"\nseed {seed} is violated:\n"
    yield from (f"  {line}\n" for line in again.trace)
    if again.violations != violations:
        yield "  the second run went another way: something in it is not drawn from the seed\n"
    option = "" if mutant is None else f" --as {shlex.quote(mutant)}"
    yield f"to see it again: python benchmarks/simulation.py --replay {seed}{option}\n"


def replay(seed: int, mutant: str | None) -> int:
    """Tell one seed."""
    with acting_as(mutant):
        verdict = Here.get().run(seed, traced=True)
    print("\n".join(verdict.trace))
    print(f"{dict(verdict.statuses)}, {len(verdict.violations)} violations")
    return 1 if verdict.violations else 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--mutants", type=int, metavar="SEEDS")
    parser.add_argument("--replay", type=int, metavar="SEED")
    parser.add_argument("--as", dest="mutant", metavar="MUTANT", choices=[mutant.name for mutant in MUTANTS])
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eatsim", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        Here.work_in(Path(folder))
        if options.replay is not None:
            return replay(options.replay, options.mutant)
        return run(options)


def run(options: argparse.Namespace) -> int:
    """Seeds and mutants; the exit code."""
    began = time.monotonic()
    record: Part = {}
    with ProcessPoolExecutor(options.jobs, initializer=Here.work_in, initargs=(Here.folder,)) as pool:
        if options.seeds:
            record |= simulated(pool, options.first, options.seeds, options.mutant)
        if options.mutants:
            record["mutation"] = hunted(pool, options.mutants)
    record |= {
        "wall_seconds": round(time.monotonic() - began, 1),
        "jobs": options.jobs,
        "load": os.getloadavg()[0],
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
    }
    text = json.dumps(record, indent=2)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)
    mutation = record.get("mutation", {"caught": 0, "mutants": 0})
    return 1 if record.get("violations") or mutation["caught"] < ENOUGH * mutation["mutants"] else 0


if __name__ == "__main__":
    sys.exit(main())
