"""Working a run to its end without a broker, and what the figures say then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from eat_worker.errors import NotFound
from eat_worker.runs.dossiers import show
from eat_worker.runs.progress import status
from eat_worker.runs.reporting import report
from eat_worker.runs.submitting import submit
from eat_worker.runs.working import finish
from eat_worker.settings import Settings


def test_a_run_is_worked_to_its_end_and_reported(scripted: Settings, corpus: Path) -> None:
    run = submit(scripted, corpus).run
    told: list[tuple[int, int]] = []
    ended = finish(scripted, run, on_progress=lambda done, total: told.append((done, total)))
    assert ended.documents == {"queued": 0, "running": 0, "done": 3, "skipped": 0, "failed": 0, "cancelled": 0}
    assert ended.seconds_left is None
    assert told[-1] == (3, 3)
    rows = {row.lang: row for row in report(scripted, run=run).rows}
    assert list(rows) == ["ar", "de", "ko", "all"]
    korean, arabic = rows["ko"].figures, rows["ar"].figures
    assert korean.token_strict is not None
    assert korean.token_strict.f1 == 1.0
    # The gold of the Arabic sentence names one of the two entities that were found.
    assert arabic.span is not None
    assert (arabic.span.precision, arabic.span.recall) == (0.5, 1.0)
    assert rows["de"].figures.token_strict is None
    assert arabic.per_tag["token_strict"]["PER"].f1 == 1.0
    assert rows["ar"].entropy_loss_pooled == 1.0
    assert rows["all"].outcomes == {"exact": 5}


def test_working_again_asks_nothing(scripted: Settings, corpus: Path) -> None:
    run = submit(scripted, corpus).run
    finish(scripted, run)
    before = show(scripted, "k1")
    finish(scripted, run)
    assert show(scripted, "k1") == before


def test_a_document_that_fails_does_not_stop_the_others(scripted: Settings, corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "faulty.jsonl"
    script.write_text(json.dumps({"fault": "too_long", "text": "서울에"}, ensure_ascii=False))
    settings = replace(scripted, script=str(script), max_faults=1)
    run = submit(settings, corpus).run
    ended = finish(settings, run)
    assert (ended.documents["done"], ended.documents["failed"], ended.failures) == (2, 1, {"too_long": 1})
    assert show(settings, "k1").error_code == "too_long"


def test_a_signal_leaves_the_run_as_it_is(scripted: Settings, corpus: Path) -> None:
    run = submit(scripted, corpus).run
    script = Path(scripted.script)
    slow = replace(scripted, slots=1, concurrency=1)
    script.write_text(script.read_text() + json.dumps({"fault": "sleep", "seconds": 0.2, "at": 1}))
    # The script is part of the identity, so this is a run of its own.
    run = submit(slow, corpus, name="slow").run

    def interrupt(done: int, total: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        finish(slow, run, on_progress=_once(interrupt))
    assert status(slow, run)[0].state == "open"
    assert finish(slow, run).documents["done"] == 3


def _once(call: object) -> object:
    called: list[bool] = []

    def told(done: int, total: int) -> None:
        if not called:
            called.append(True)
            assert callable(call)
            call(done, total)

    return told


def test_finishing_a_run_nobody_knows(scripted: Settings, corpus: Path) -> None:
    submit(scripted, corpus)
    with pytest.raises(NotFound):
        finish(scripted, "other")


def eat(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("EAT_")}
    return subprocess.run(
        [sys.executable, "-m", "eat_worker", *words],
        cwd=folder,
        env={**known, "EAT_ENGINE": "scripted", "EAT_SCRIPT": "script.jsonl", "EAT_BROKER_URL": "none", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_eat_run_ends_with_figures_and_says_what_it_wrote(scripted: Settings, corpus: Path, tmp_path: Path) -> None:
    done = eat(tmp_path, "run", "corpus.jsonl", "--run", "r", "--json")
    assert done.returncode == 3
    found = json.loads(done.stdout)
    assert found["documents"]["done"] == 3
    assert found["submitted"]["rejected"] == {"E_TEXT_MISSING": 1}
    assert [row["lang"] for row in found["report"]["rows"]] == ["ar", "de", "ko", "all"]
    assert all(Path(path).exists() for path in found["written"].values())
    again = eat(tmp_path, "run", "corpus.jsonl", "--run", "r")
    assert again.returncode == 3
    assert "nothing is left to do" in again.stderr
    assert again.stdout.startswith("run ")
    assert eat(tmp_path, "run", "corpus.jsonl", "--run", "r", "-q").stdout == "r\n"


def test_ctrl_c_ends_with_130_and_the_line_that_resumes(scripted: Settings, corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text(script.read_text() + '{"fault": "sleep", "seconds": 1, "text": "Hier"}\n')
    known = {name: value for name, value in os.environ.items() if not name.startswith("EAT_")}
    running = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "eat_worker",
            "run",
            "corpus.jsonl",
            "--engine",
            "scripted",
            "--script",
            "script.jsonl",
            "--broker",
            "none",
        ],
        cwd=tmp_path,
        env=known,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    lines = [running.stderr.readline() for _ in range(2)]
    assert "3 new, 0 already there" in lines[1]
    while not _answered(tmp_path):
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert told.splitlines()[-1] == (
        "eat: nothing stored is lost; resume with: "
        "eat run corpus.jsonl --engine scripted --script script.jsonl --broker none"
    )


def _answered(folder: Path) -> bool:
    """Some document of the run has begun."""
    settings = replace_state(folder)
    return any(one.documents["running"] for one in status(settings))


def replace_state(folder: Path) -> Settings:
    from eat_worker.settings import load_settings

    return load_settings({}, directory=folder, environ={"HOME": str(folder)})
