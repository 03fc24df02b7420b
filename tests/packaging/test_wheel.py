"""The wheel, installed with exact versions into an empty environment, works from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    """Standard output of a command that must succeed; nothing of this environment leaks into it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("EAT_", "PYTHON", "COVERAGE"))}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**clean, "PIP_CONSTRAINT": str(ROOT / "constraints.txt"), "HOME": str(cwd)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built as a release is: through the source archive."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return next(out.glob("*.whl"))


def test_wheel_holds_migrations_and_data_and_no_launcher(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "eat_worker/migrations/env.py" in names
    assert "eat_worker/migrations/versions/0001_initial.py" in names
    assert "eat_worker/metrics/published.json" in names
    assert "eat_worker/py.typed" in names
    assert "cli.py" not in names
    assert not [name for name in names if name.endswith(".pyc") or name.startswith("tests/")]


@pytest.mark.timeout(600)
def test_base_install_in_an_empty_environment_does_the_main_job(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python, eat = tmp_path / "env" / "bin" / "python", tmp_path / "env" / "bin" / "eat"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "0003" in run(eat, "db", "upgrade", cwd=empty)
    (empty / "two.jsonl").write_text('{"text": "Anna lives in Oslo."}\n{"text": "It rains."}\n')
    # The base install has neither an engine nor a broker of its own, and needs none for this.
    table = run(eat, "run", "two.jsonl", "--lang", "en", "--engine", "scripted", "--broker", "none", cwd=empty)
    assert "two-en" in table
    assert '"done": 2' in run(eat, "status", "--json", cwd=empty)
