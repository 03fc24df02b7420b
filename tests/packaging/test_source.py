"""What no line of the package may do, found by reading it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((*(ROOT / "eat_worker").rglob("*.py"), *(ROOT / "migrations").rglob("*.py")))
FORBIDDEN = {
    # Values reach the database as bound parameters and by no other way.
    "SQL put together from values": re.compile(r"\b(text|execute|exec_driver_sql|executescript)\(\s*f[\"']"),
    "pickle, which runs what it reads": re.compile(r"\b(import (cPickle|pickle|marshal|shelve|dill)\b|torch\.load\()"),
    "code of a model's author": re.compile(r"trust_remote_code\s*=\s*True"),
    "a shell": re.compile(r"shell\s*=\s*True|os\.system\("),
    "unchecked TLS": re.compile(r"verify\s*=\s*False|CERT_NONE|_create_unverified_context"),
}
# Where it is right, and why.
ALLOWED = {
    ("SQL put together from values", "eat_worker/storage/engine.py"): "a PRAGMA takes no parameters; a constant",
    ("SQL put together from values", "migrations/env.py"): "SET takes no parameters; a constant",
    (
        "pickle, which runs what it reads",
        "eat_worker/training/adapter/checkpoint.py",
    ): "the state of an optimiser that this training wrote itself, weights_only",
}


def found(what: str, path: Path) -> list[str]:
    name = path.relative_to(ROOT).as_posix()
    if (what, name) in ALLOWED:
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [f"{name}:{number}: {line.strip()}" for number, line in enumerate(lines, 1) if FORBIDDEN[what].search(line)]


@pytest.mark.parametrize("what", list(FORBIDDEN))
def test_no_line_has(what: str) -> None:
    assert [line for path in SOURCES for line in found(what, path)] == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("SQL put together from values", 'text(f"SELECT {name}")'),
        ("pickle, which runs what it reads", "import pickle"),
        ("code of a model's author", "load(x, trust_remote_code=True)"),
        ("a shell", "run(x, shell=True)"),
        ("unchecked TLS", "get(x, verify=False)"),
    ],
)
def test_the_search_finds_what_it_looks_for(what: str, line: str) -> None:
    assert FORBIDDEN[what].search(line)
