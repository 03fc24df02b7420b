"""A corpus of four records, one of them refused, and the script of an engine that knows two of its sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eat_worker.settings import Settings, load_settings

SCRIPT = [
    {"text": "서울에 갔다", "english": "He went to Seoul", "entities": [["Seoul", "LOC", "서울"]]},
    {
        "text": "زار أحمد القاهرة",
        "english": "Ahmed visited Cairo",
        "entities": [["Ahmed", "PER", "أحمد"], ["Cairo", "LOC", "القاهرة"]],
    },
]
CORPUS = [
    {
        "id": "k1",
        "text": "서울에 갔다",
        "lang": "ko",
        "dataset": "klue",
        "entities": [{"start": 0, "end": 2, "tag": "LC"}],
    },
    {"id": "a1", "text": "زار أحمد القاهرة", "lang": "ar", "entities": [{"start": 4, "end": 8, "tag": "PER"}]},
    {"id": "empty"},
    {"text": "Hier ist Oslo", "lang": "de"},
]


def write_lines(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "corpus.jsonl", CORPUS)


@pytest.fixture
def scripted(tmp_path: Path) -> Settings:
    """The scripted engine, and no broker."""
    script = write_lines(tmp_path / "script.jsonl", SCRIPT)
    overrides = {"engine": "scripted", "script": str(script), "broker_url": "none"}
    return load_settings(overrides, directory=tmp_path, environ={"HOME": str(tmp_path)})
