"""Annotating a file without queue and database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eat_worker.corpora.reading import read_documents
from eat_worker.errors import ConfigurationError, CorpusError, EngineUnavailable
from eat_worker.method.document import Document
from eat_worker.runs.annotating import annotate_file
from eat_worker.settings import Settings, load_settings


def test_records_come_in_the_order_of_the_file(scripted: Settings, corpus: Path) -> None:
    records = list(annotate_file(scripted, corpus))
    assert [record.get("text") for record in records] == ["서울에 갔다", "زار أحمد القاهرة", None, "Hier ist Oslo"]
    assert records[0]["entities"] == [
        {
            "start": 0,
            "end": 2,
            "tag": "LOC",
            "words": "서울",
            "english": "Seoul",
            "via": "list",
            "confidence": None,
        }
    ]
    assert records[0]["english"] == "He went to Seoul"
    assert records[1]["ledger"][0]["outcome"] == "exact"
    assert records[2]["error"]["code"] == "E_TEXT_MISSING"
    assert "rounds" not in records[0]
    assert not scripted.state.exists()


def test_rounds_are_added_when_asked_for(scripted: Settings, corpus: Path) -> None:
    first = next(annotate_file(scripted, corpus, with_rounds=True))
    assert [(said["stage"], said["round"]) for said in first["rounds"]][:3] == [
        ("forward", 1),
        ("forward", 2),
        ("forward", 3),
    ]


def test_what_comes_out_can_be_read_in(scripted: Settings, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    records = [record for record in annotate_file(scripted, corpus) if "error" not in record]
    out.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    with read_documents(out) as reading:
        documents = [item for item in reading if isinstance(item, Document)]
    assert [document.text for document in documents] == [record["text"] for record in records]
    assert documents[0].gold is not None
    assert [(gold.start, gold.end, gold.tag) for gold in documents[0].gold] == [(0, 2, "LOC")]


def test_a_record_that_fails_stops_nothing(scripted: Settings, corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "faulty.jsonl"
    script.write_text(json.dumps({"fault": "too_long", "text": "서울에"}, ensure_ascii=False))
    records = list(annotate_file(replace(scripted, script=str(script)), corpus))
    assert records[0]["error"]["code"] == "too_long"
    assert records[0]["id"] == "k1"
    assert "entities" in records[1]


def test_an_engine_that_is_away_ends_it(scripted: Settings, corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "faulty.jsonl"
    script.write_text('{"fault": "unavailable", "text": ""}')
    with pytest.raises(EngineUnavailable):
        list(annotate_file(replace(scripted, script=str(script)), corpus))


def test_an_endpoint_that_cannot_bind_answers_ends_it_at_the_first_record(tmp_path: Path, corpus: Path) -> None:
    endpoint = {"engine": "endpoint", "endpoint_url": "http://127.0.0.1:9", "endpoint_model": "qwen"}
    settings = load_settings(endpoint, directory=tmp_path, environ={"HOME": str(tmp_path)})
    with pytest.raises(ConfigurationError, match="this endpoint is not set up for that; set endpoint_grammar"):
        next(annotate_file(settings, corpus))


def test_a_missing_file_is_told_before_a_model_is_loaded(scripted: Settings, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no file"):
        next(annotate_file(replace(scripted, engine="llamacpp"), tmp_path / "absent.jsonl"))


def test_many_documents_keep_their_order(scripted: Settings, tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text("".join(json.dumps({"text": f"Satz {n} in Oslo", "lang": "de"}) + "\n" for n in range(50)))
    assert [record["text"] for record in annotate_file(scripted, file)] == [f"Satz {n} in Oslo" for n in range(50)]
