"""What a campaign found: its counts, its goals and whether they were met, as JSON and as Markdown.

Knows nothing of how anything was measured.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HEAD = """# Faults: what was done to the queue, and what it did

Written by `make faults` (`benchmarks/faults.py`); every campaign uses real processes and real servers.
Each row of the first table is one goal of one campaign; counts and commands stand below.

"""


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise: what is measured, what it must be, what it was."""

    what: str
    goal: str
    measured: Any
    met: bool


@dataclass(slots=True)
class Outcome:
    """All that one campaign has to tell. `skipped` says why it did not run."""

    campaign: str
    counts: dict[str, Any] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    skipped: str = ""

    def at_most(self, what: str, limit: float, measured: float) -> None:
        """A goal with an upper end."""
        self.goals.append(Goal(what, f"<= {limit:g}" if limit else "0", measured, measured <= limit))

    def at_least(self, what: str, limit: float, measured: float) -> None:
        """A goal with a lower end."""
        self.goals.append(Goal(what, f">= {limit:g}", measured, measured >= limit))

    def holds(self, what: str, *, true: bool) -> None:
        """A goal that is met or not."""
        self.goals.append(Goal(what, "yes", "yes" if true else "no", true))

    @property
    def met(self) -> bool:
        """Whether every goal is."""
        return all(goal.met for goal in self.goals)


def machine() -> str:
    """This machine in a few words; no path and no name."""
    about = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{about}, load {os.getloadavg()[0]:.1f} at the start"


def commit() -> str:
    """The commit of this checkout, with a + where files differ from it; "" where git does not say."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def as_json(outcome: Outcome, *, command: str, seed: int, on: str, seconds: float) -> dict[str, Any]:
    """One campaign's entry in the file."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    told = {"command": command, "machine": on, "seed": seed, "seconds": round(seconds, 1), "ended_at": when}
    return {**told, "commit": commit(), "met": outcome.met and not outcome.skipped, **asdict(outcome)}


def merged(file: Path, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What stands in the file with these entries in the place of older ones of the same campaign."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    known.update({entry["campaign"]: entry for entry in entries})
    return known


def write(folder: Path, entries: Sequence[dict[str, Any]], order: Sequence[str]) -> None:
    """`faults.json` and `faults.md` in the folder, with the campaigns in this order."""
    file = folder / "faults.json"
    known = merged(file, entries)
    sorted_ = {name: known[name] for name in order if name in known}
    file.write_text(json.dumps(sorted_, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "faults.md").write_text(as_markdown(list(sorted_.values())), encoding="utf-8")


def as_markdown(entries: Sequence[dict[str, Any]]) -> str:
    """The table of goals, and below it each campaign's counts."""
    lines = ["| campaign | measured | goal | found | met |", "|---|---|---|---|---|"]
    for entry in entries:
        if entry["skipped"]:
            lines.append(f"| {entry['campaign']} | skipped: {entry['skipped']} | | | |")
        for goal in entry["goals"]:
            met = "yes" if goal["met"] else "**no**"
            found = f"{goal['what']} | {goal['goal']} | {_shown(goal['measured'])}"
            lines.append(f"| {entry['campaign']} | {found} | {met} |")
    for entry in entries:
        told = f"`{entry['command']}`, seed {entry['seed']}, {entry['seconds']} s, {entry['machine']}"
        when = f"ended {entry['ended_at']}, commit {entry['commit'] or 'unknown'}"
        lines += ["", f"## {entry['campaign']}", "", f"{told}, {when}.", ""]
        lines += [f"- {name}: {_shown(value)}" for name, value in entry["counts"].items()]
    return HEAD + "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
