"""The GPU worker through the whole queue, with a tiny model on the CPU: its words are noise, its way is real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)
TEXTS = ("서울에서 만난 김연아", "Путин встретил Меркель", "Ann fuhr nach Oslo", "東京は日本の首都だ")


def eat(*words: str, cwd: Path, expected: int = 0) -> Any:
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [sys.executable, "-m", "eat_worker", *words, "--json"], cwd=cwd, env=environ, capture_output=True, text=True
    )
    assert done.returncode == expected, done.stderr[-2000:] + done.stdout[-500:]
    return json.loads(done.stdout)


def test_a_run_is_done_by_the_qwen_engine_with_an_adapter(
    tmp_path: Path, tiny_qwen_folder: Path, tiny_adapter_folder: Path
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    rows = [
        {"text": text, "lang": lang, "entities": [{"start": 0, "end": 2, "tag": "LOC"}]}
        for text, lang in zip(TEXTS, ("ko", "ru", "de", "ja"), strict=True)
    ]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    limits = "think_tokens=12\ntranslate_tokens=12\nextract_tokens=12\nfinal_tokens=12\n"
    settings = f'engine = "qwen"\nmodel = "{tiny_qwen_folder}"\nadapter = "{tiny_adapter_folder}"\ncontext = 2048\n'
    (tmp_path / "eat.toml").write_text(f'{settings}models_dir = "models"\nslots = 4\nextractor = "crf"\n{limits}')
    eat("run", str(corpus), "--run", "tiny", cwd=tmp_path)
    report = eat("report", "--run", "tiny", cwd=tmp_path)
    assert {row["lang"]: row["documents"] for row in report["rows"]} == {"ko": 1, "ru": 1, "de": 1, "ja": 1, "all": 4}
    status = eat("status", cwd=tmp_path)
    assert status["runs"][0]["documents"]["done"] == 4
    shown = eat("show", "1", cwd=tmp_path)
    stages = [said["stage"] for said in shown["rounds"]]
    assert stages[:4] == ["forward", "forward", "forward", "extract"]
    assert all(said["prompt_tokens"] > 0 for said in shown["rounds"] if said["stage"] != "extract")


def test_a_worker_of_another_adapter_leaves_the_documents_alone(
    tmp_path: Path, tiny_qwen_folder: Path, tiny_adapter_folder: Path
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(json.dumps({"text": TEXTS[0], "lang": "ko"}) + "\n")
    base = ("--engine", "qwen", "--model", str(tiny_qwen_folder), "--models-dir", "models")
    tuned = eat("submit", str(corpus), "--run", "tuned", *base, "--adapter", str(tiny_adapter_folder), cwd=tmp_path)
    assert tuned["new"] == 1
    eat("run", str(corpus), "--run", "plain", *base, "--method", "direct", cwd=tmp_path)
    runs = {run["run"]: run["documents"] for run in eat("status", cwd=tmp_path)["runs"]}
    assert runs["tuned"]["queued"] == 1
    assert runs["plain"]["done"] == 1
