"""`eat eval`: files of any system against gold, as the command does it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eat_worker.errors import CorpusError
from eat_worker.runs.evaluating import evaluate

Eat = Callable[..., Any]
SEOUL = {"start": 0, "end": 2, "tag": "LOC"}


def record(text: str, *entities: dict[str, Any], lang: str = "ko", **others: Any) -> dict[str, Any]:
    return {"text": text, "lang": lang, "entities": list(entities), **others}


def written(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    records = [record("서울에 갔다", SEOUL), record("아무도 없다"), record("서울은 크다", SEOUL)]
    return written(tmp_path / "gold.jsonl", *records)


def test_a_file_against_itself_is_wholly_right(gold: Path) -> None:
    (row,) = evaluate(gold, gold).rows
    assert (row.lang, row.documents) == ("ko", 3)
    assert row.figures.token_strict is not None
    assert (row.figures.token_strict.f1, row.figures.token_strict.low) == (1.0, 1.0)
    assert row.figures.false_alarms is not None
    assert (row.figures.false_alarms.documents, row.figures.false_alarms.alarmed) == (1, 0)


def test_sentences_find_each_other_in_any_order_and_form(gold: Path, tmp_path: Path) -> None:
    bio = tmp_path / "predictions.bio"
    bio.write_text("서울은 B-LOC\n크다 O\n\n아무도 B-PER\n없다 O\n\n서울에 B-LOC\n갔다 O\n", encoding="utf-8")
    found = evaluate(gold, bio, lang="ko")
    (row,) = found.rows
    assert (found.matched, found.missing, found.unknown) == (3, 0, 0)
    assert row.figures.span is not None
    assert (row.figures.span.f1, row.figures.span.support, row.figures.span.found) == (0.0, 2, 3)
    assert row.figures.span_lenient is not None
    assert row.figures.span_lenient.f1 == 0.8
    assert row.figures.span_partial is not None
    assert row.figures.span_partial.f1 == 0.4
    assert row.figures.false_alarms is not None
    assert (row.figures.false_alarms.alarmed, row.figures.false_alarms.entities) == (1, 1)


def test_equal_sentences_have_one_partner_each(tmp_path: Path) -> None:
    gold = written(tmp_path / "g.jsonl", record("서울", SEOUL, id="a"), record("서울", SEOUL, id="b"))
    once = written(tmp_path / "p.jsonl", record("다른", id="x"), record("서울", SEOUL, id="y"))
    found = evaluate(gold, once)
    assert (found.matched, found.missing, found.unknown) == (1, 1, 1)
    assert found.rows[0].figures.span is not None
    assert found.rows[0].figures.span.recall == 0.5


def test_what_has_no_prediction_is_missed_and_what_has_no_gold_is_left_out(tmp_path: Path) -> None:
    silent = {"text": "서울은 크다", "lang": "ko"}
    gold = written(
        tmp_path / "g.jsonl", record("서울에 갔다", SEOUL), record("서울은 크다", SEOUL), silent | {"text": "몰라"}
    )
    found = evaluate(gold, written(tmp_path / "p.jsonl", record("서울에 갔다", SEOUL), silent, record("몰라")))
    assert (found.matched, found.missing, found.without_gold) == (3, 1, 1)
    assert found.rows[0].documents == 2
    assert found.rows[0].figures.span is not None
    assert found.rows[0].figures.span.recall == 0.5


def test_languages_have_rows_and_one_over_all(tmp_path: Path) -> None:
    berlin = record("Berlin ist da", {"start": 0, "end": 6, "tag": "LOC"}, lang="de", dataset="b")
    file = written(tmp_path / "g.jsonl", record("서울", SEOUL, dataset="a"), berlin)
    assert [(row.dataset, row.lang, row.documents) for row in evaluate(file, file).rows] == [
        ("a", "ko", 1),
        ("b", "de", 1),
        ("all", "all", 2),
    ]


def test_files_that_share_no_sentence_are_refused(gold: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "p.jsonl", record("서울에  갔다", SEOUL))
    with pytest.raises(CorpusError, match="blanks included"):
        evaluate(gold, other)


def test_the_command_says_what_took_no_part(gold: Path, tmp_path: Path, eat: Eat) -> None:
    other = written(tmp_path / "p.jsonl", record("서울에 갔다", SEOUL), record("낯선 글"), {"text": 5})
    done = eat("eval", str(gold), str(other))
    assert done.code == 3
    assert "2 gold sentences have no prediction: all their entities count as missed\n" in done.err
    assert "1 predictions belong to no gold sentence" in done.err
    assert "predictions: 1 records refused (1 E_" in done.err
    assert "ko: 1 sentences without gold entities, 0 of them with false alarms (0 entities)" in done.out
    assert "LOC" in done.out


def test_the_command_as_json(gold: Path, eat: Eat) -> None:
    done = eat("eval", str(gold), str(gold), "--json")
    assert done.code == 0
    found = json.loads(done.out)
    assert (found["matched"], found["missing"], found["rejected"]) == (3, 0, {"gold": {}, "predictions": {}})
    (row,) = found["rows"]
    assert row["span_partial"] == {
        **dict.fromkeys(("f1", "precision", "recall", "low", "high"), 100.0),
        "support": 2,
        "found": 2,
    }
    assert row["false_alarms"] == {"documents": 1, "alarmed": 0, "entities": 0}
