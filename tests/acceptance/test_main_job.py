"""The main job as a user runs it: real commands, a real model, the embedded broker and database, an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "examples" / "quickstart.jsonl"
FIRST = "ko-klue-ner-v1_dev_00142-wikitree"


def eat(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """One command, as a user types it."""
    environ = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m", "eat_worker", *arguments]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)


def data(*arguments: str, cwd: Path) -> dict[str, Any]:
    """What a command prints under --json."""
    done = eat(*arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.model
@pytest.mark.timeout(600)  # a thousand tokens and as many again, on a machine that may be busy otherwise
def test_run_annotates_with_a_real_model_and_a_second_run_finds_nothing_left(small_model: Path, tmp_path: Path) -> None:
    # The small model knows English only: what is tested is the way of the documents, not what it says about them.
    job = ["run", str(QUICKSTART), "--limit", "2", "--model", str(small_model), "--run", "q", "--slots", "2"]
    first = eat(*job, cwd=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "klue" in first.stdout

    report = data("report", "--run", "q", cwd=tmp_path)
    row = report["rows"][0]
    assert (row["dataset"], row["lang"], row["documents"]) == ("klue", "ko", 2)
    assert 0 <= row["token_strict"]["low"] <= row["token_strict"]["f1"] <= row["token_strict"]["high"] <= 100
    assert row["bleu_signature"].startswith("nrefs:1|")
    assert row["seconds_per_sentence"] > 0
    assert len(report["fingerprints"]) == 1

    dossier = data("show", FIRST, cwd=tmp_path)
    stages = {said["stage"] for said in dossier["rounds"]}
    assert {"forward", "extract", "back_translation"} <= stages
    assert dossier["english"].isascii() or dossier["english"]
    assert all(said["generated_tokens"] > 0 for said in dossier["rounds"])

    before = data("show", FIRST, cwd=tmp_path)
    second = eat(*job, cwd=tmp_path)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "0 new" in second.stderr
    assert data("show", FIRST, cwd=tmp_path) == before


@pytest.mark.model
@pytest.mark.timeout(300)
def test_annotate_needs_neither_queue_nor_database(small_model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "a", "text": "Anna lives in Oslo."}\n')
    done = eat(
        "annotate", "in.jsonl", "--lang", "en", "--model", str(small_model), "--no-back-translation", cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    assert (record["id"], record["text"]) == ("a", "Anna lives in Oslo.")
    for entity in record["entities"]:
        assert record["text"][entity["start"] : entity["end"]] == entity["words"]
    assert not (tmp_path / ".eat").exists()


def test_the_launcher_of_a_checkout_is_the_same_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == eat("--version", cwd=tmp_path).stdout
    assert done.returncode == 0
