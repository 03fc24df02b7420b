"""What a command loads: light ones must not pay for libraries they do not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys
from eat_worker.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as stop:
    code = stop.code
print(json.dumps({"code": code, "modules": sorted({name.partition(".")[0] for name in sys.modules})}), file=sys.stderr)
"""
MODELS = {"torch", "transformers", "peft", "bitsandbytes", "xllamacpp"}
HEAVY = MODELS | {"sqlalchemy", "alembic", "celery", "kombu", "numpy", "sacrebleu", "httpx", "rich", "orjson"}


def loaded_by(folder: Path, *words: str) -> tuple[int, set[str]]:
    """Exit code of `eat` with these words, and the top-level modules it loaded."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EAT_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=60
    )
    found = json.loads(done.stderr.splitlines()[-1])
    return found["code"], set(found["modules"])


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("run", "--help"), ("report", "--help")])
def test_help_loads_click_and_nothing_heavy(tmp_path: Path, words: tuple[str, ...]) -> None:
    code, modules = loaded_by(tmp_path, *words)
    assert code == 0
    assert "click" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize("words", [("config", "--json"), ("completion", "bash"), ("nonsense",)])
def test_commands_without_data_load_nothing_heavy(tmp_path: Path, words: tuple[str, ...]) -> None:
    _, modules = loaded_by(tmp_path, *words)
    assert not modules & HEAVY


def test_status_loads_the_database_and_nothing_else_heavy(tmp_path: Path) -> None:
    assert loaded_by(tmp_path, "db", "upgrade")[0] == 0
    code, modules = loaded_by(tmp_path, "status", "--json")
    assert code == 0
    assert "sqlalchemy" in modules
    assert not modules & (HEAVY - {"sqlalchemy", "orjson"})


@pytest.mark.parametrize("words", [("report",), ("show", "1"), ("model", "list"), ("db", "check")])
def test_reading_commands_load_no_queue_and_no_model_library(tmp_path: Path, words: tuple[str, ...]) -> None:
    loaded_by(tmp_path, "db", "upgrade")
    _, modules = loaded_by(tmp_path, *words)
    assert not modules & (MODELS | {"celery", "kombu"})


def test_submit_loads_no_queue_and_no_model_library(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"text": "Hier ist Oslo", "lang": "de"}\n')
    code, modules = loaded_by(tmp_path, "submit", "corpus.jsonl", "--engine", "scripted")
    assert code == 0
    assert not modules & (MODELS | {"celery", "kombu", "sacrebleu"})
