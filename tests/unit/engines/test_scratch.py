"""The folder of a running engine: its own, gone afterwards, and swept up after a process that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from eat_worker.engines.scratch import Scratch

HOUR_AGO = 3600


@pytest.fixture
def tmp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The system's temporary folder for this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def age(folder: Path) -> None:
    before = folder.stat().st_mtime - HOUR_AGO
    os.utime(folder, (before, before))


def test_a_folder_is_gone_with_all_that_is_in_it(tmp: Path) -> None:
    scratch = Scratch()
    (scratch.path / "state").write_bytes(b"x")
    assert scratch.path.parent == tmp
    assert scratch.path.stat().st_mode & 0o077 == 0
    scratch.close()
    assert list(tmp.iterdir()) == []


def test_the_folder_of_a_running_process_stays(tmp: Path) -> None:
    first = Scratch()
    age(first.path)
    second = Scratch()
    assert {first.path, second.path} == set(tmp.iterdir())
    first.close()
    second.close()


def test_what_a_killed_process_left_is_removed(tmp: Path) -> None:
    program = (
        "import os, signal\n"
        "from eat_worker.engines.scratch import Scratch\n"
        "(Scratch().path / 'state').write_bytes(b'x')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(tmp)}, check=False)
    (left,) = tmp.iterdir()
    young = Scratch()
    assert left.exists()  # it might be in the making
    age(left)
    last = Scratch()
    assert not left.exists()
    young.close()
    last.close()


def test_a_folder_that_is_not_ours_to_remove_stays(tmp: Path) -> None:
    for name in ("eat-engine-file", "other"):
        (tmp / name).write_text("x")
        age(tmp / name)
    without_lock = tmp / "eat-engine-a"
    (without_lock / ".lock").mkdir(parents=True)
    age(without_lock)
    Scratch().close()
    assert {path.name for path in tmp.iterdir()} == {"eat-engine-file", "other", "eat-engine-a"}
