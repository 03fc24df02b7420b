"""`eat eacl import|filter|split|export` from file to file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eat_worker.cli import main

RELEASED = [
    {"eng_entity": "EU", "tgt_entity": "유럽 연합", "text": "유럽 연합(영어: EU)은 공동체이다."},
    {"eng_entity": "European Union", "tgt_entity": "유럽 연합", "text": "유럽 연합(영어: EU)은 공동체이다."},
    {"eng_entity": "Seoul", "tgt_entity": "서울", "text": "서울은 도시이다."},
    {"eng_entity": "Mars", "tgt_entity": "화성 (행성)", "text": "화성은 행성이다."},
    {"eng_entity": "Nowhere", "tgt_entity": "부산", "text": "도시이다."},
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("corpus_ko.json").write_text(json.dumps(RELEASED, ensure_ascii=False), encoding="utf-8")
    return tmp_path


def eat(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = main(["eacl", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def rows(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]


def test_the_released_corpus_becomes_chats(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = eat(capsys, "import", "corpus_ko.json", "-o", "all.jsonl")
    assert (code, said["pairs"], said["pages"], said["rejected"]) == (0, 5, 4, {})
    code, said = eat(capsys, "filter", "all.jsonl", "-o", "kept.jsonl", "--rejects", "rejects.jsonl")
    assert (code, said["pairs"], said["rejected"]) == (0, 3, {"duplicate": 1, "not_in_text": 1})
    assert [row["words"] for row in rows("kept.jsonl")] == ["유럽 연합", "서울", "화성"]
    assert [row["reason"] for row in rows("rejects.jsonl")] == ["duplicate", "not_in_text"]
    code, said = eat(capsys, "export", "kept.jsonl", "--output-dir", "out", "--alignment", "free")
    assert (code, said["chats"], said["answers"], said["spans"]) == (0, 3, 9, 3)
    first = rows("out/eacl.jsonl")[0]
    assert [turn["from"] for turn in first["conversations"]] == ["human", "gpt"] * 3
    assert first["conversations"][-1] == {"from": "gpt", "value": "유럽 연합"}
    assert first["system"].startswith("You find the words of a Korean sentence")
    assert json.loads(Path("out/dataset_info.json").read_text())["eacl"] == {
        "file_name": "eacl.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"},
        "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
    }


def test_the_papers_rule_keeps_what_stands_there_letter_by_letter(capsys: pytest.CaptureFixture[str]) -> None:
    eat(capsys, "import", "corpus_ko.json", "-o", "all.jsonl")
    _, said = eat(capsys, "filter", "all.jsonl", "--rule", "paper", "-o", "kept.jsonl")
    assert (said["pairs"], said["rejected"]) == (2, {"not_in_text": 2, "duplicate": 1})


def test_a_corpus_with_records_that_are_no_pairs_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ja.jsonl").write_text('{"english": "Tokyo", "title": "東京", "text": "東京は都。"}\n[1]\n', encoding="utf-8")
    code, said = eat(capsys, "import", "ja.jsonl", "-o", "out/pairs.jsonl", "--rejects", "rejects.jsonl")
    assert (code, said["pairs"], said["rejected"]) == (3, 1, {"not_object": 1})
    assert rows("rejects.jsonl")[0]["message"].startswith("ja.jsonl:2: ")


def test_split_parts_by_page_and_counts_what_leaks(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        {"lang": "ko", "english": f"{kind} {page}", "title": f"이름{page}", "text": f"이름{page}은 이름이다."}
        for page in range(40)
        for kind in ("Town", "City of")
    ]
    Path("pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    code, said = eat(capsys, "split", "pairs.jsonl", "--output-dir", "parts", "--held-out", "25")
    assert code == 0
    assert said["leakage"] == {"pages": 0, "texts": 0}
    assert said["train"]["pages"] + said["held_out"]["pages"] == 40
    assert said["train"]["pairs"] + said["held_out"]["pairs"] == 80
    assert 4 <= said["held_out"]["pages"] <= 16
    assert len(rows("parts/held_out.jsonl")) == said["held_out"]["pairs"]
    assert main(["eacl", "split", "pairs.jsonl", "--output-dir", "parts"]) == 0
    assert "in both: 0 pages, 0 sentences; left out: 0" in capsys.readouterr().out


def test_one_side_may_be_empty(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ko.jsonl").write_text('{"english": "Seoul", "title": "서울", "text": "서울."}\n', encoding="utf-8")
    _, said = eat(capsys, "split", "ko.jsonl", "--output-dir", "parts", "--held-out", "0.001")
    assert (said["train"]["pairs"], said["held_out"]["pairs"], said["leakage"]) == (1, 0, {"pages": 0, "texts": 0})


def test_export_is_put_beside_other_data_sets(capsys: pytest.CaptureFixture[str]) -> None:
    eat(capsys, "filter", "corpus_ko.json", "-o", "kept.jsonl")
    Path("out").mkdir()
    Path("out/dataset_info.json").write_text('{"mine": {"file_name": "mine.json"}}')
    Path("kept.jsonl").write_text('{"lang": "ko", "english": "Seoul", "title": "서울", "text": "서울."}\n', "utf-8")
    assert main(["eacl", "export", "kept.jsonl", "--output-dir", "out", "--name", "ko-eacl"]) == 0
    assert "ko-eacl.jsonl: 1 chats, 1 answers, 1 of them words of the text" in capsys.readouterr().out
    assert sorted(json.loads(Path("out/dataset_info.json").read_text())) == ["ko-eacl", "mine"]


@pytest.mark.parametrize("content", ["{", "[]"])
def test_export_does_not_write_over_an_index_it_cannot_read(content: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("ko.jsonl").write_text('{"english": "Seoul", "title": "서울", "text": "서울."}\n', encoding="utf-8")
    Path("out").mkdir()
    Path("out/dataset_info.json").write_text(content)
    code, said = eat(capsys, "export", "ko.jsonl", "--output-dir", "out")
    assert code == 78
    assert "move it away" in said["error"]["message"]
    assert Path("out/dataset_info.json").read_text() == content
    assert not Path("out/eacl.jsonl").exists()


def test_export_of_pairs_without_chats_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ko.jsonl").write_text('{"english": "Seoul", "title": "서울", "text": "부산."}\n', encoding="utf-8")
    code, said = eat(capsys, "export", "ko.jsonl", "--output-dir", "out")
    assert code == 1
    assert "eat eacl filter ko.jsonl" in said["error"]["message"]
    assert not Path("out/eacl.jsonl").exists()


def test_a_file_with_a_broken_line_is_sent_to_import(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ko.jsonl").write_text("nonsense\n", encoding="utf-8")
    Path("kept.jsonl").write_text("as it was", encoding="utf-8")
    code, said = eat(capsys, "filter", "ko.jsonl", "-o", "kept.jsonl")
    assert code == 1
    assert "ko.jsonl:1: not JSON" in said["error"]["message"]
    assert Path("kept.jsonl").read_text() == "as it was"
    assert sorted(path.name for path in Path().iterdir()) == ["corpus_ko.json", "kept.jsonl", "ko.jsonl"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["import", "corpus_ko.json", "-o", "corpus_ko.json"], 2),
        (["import", "corpus_ko.json", "-o", "a.jsonl", "--rejects", "a.jsonl"], 2),
        (["import", "corpus_ko.json", "-o", "a.jsonl", "--lang", "kr"], 78),
        (["import", "nothing.json", "-o", "a.jsonl"], 1),
        (["import", "corpus_ko.json", "-o", "corpus_ko.json/a.jsonl"], 78),
        (["export", "corpus_ko.json", "--output-dir", "out", "--name", "../x"], 2),
        (["split", "corpus_ko.json", "--output-dir", "out", "--held-out", "100"], 2),
    ],
)
def test_what_cannot_work_is_refused(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eacl", *words]) == code
    assert capsys.readouterr().err.startswith("eat: ")


def test_people_read_reasons_in_lines_and_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    main(["eacl", "import", "corpus_ko.json", "-o", "all.jsonl", "-q"])
    assert capsys.readouterr().out == ""
    main(["eacl", "filter", "all.jsonl", "-o", "kept.jsonl"])
    assert capsys.readouterr().out == "kept.jsonl: 3 pairs of 3 pages\n       1 duplicate\n       1 not_in_text\n"
