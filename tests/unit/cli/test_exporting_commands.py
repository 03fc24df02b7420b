"""`eat export` in other formats and in part, `eat import-review`, and what a terminal is spared."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eat_worker.cli.terminal import Harmless
from eat_worker.corpora.writing import json_line
from eat_worker.settings import Settings
from eat_worker.storage.store import open_store

Eat = Callable[..., Any]


def review(eat: Eat, file: str, *more: str, author: str = "Kim") -> Any:
    return eat("import-review", file, "--run", "demo", "--author", author, "--reason", "second pass", *more)


def write(path: Path, *records: object) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def reviewed(eat: Eat) -> list[dict[str, Any]]:
    return [json.loads(line) for line in eat("export", "demo", "--reviewed").out.splitlines()]


KOREAN = {"id": "k1", "text": "서울에 갔다", "entities": []}
ARABIC = {"id": "a1", "text": "زار أحمد القاهرة", "entities": [{"start": 9, "end": 16, "tag": "LOCATION"}]}


def test_an_export_in_another_format_goes_to_stdout(finished: Settings, eat: Eat) -> None:
    done = eat("export", "demo", "--to", "conll", "--tokens", "characters")
    assert done.out.startswith("-DOCSTART- -X- -X- O\n\n서 _ _ B-LOC\n울 _ _ I-LOC\n에 _ _ O\n")
    assert done.err.splitlines()[0] == "2 records were cut into characters"
    done = eat("export", "demo", "--to", "brat")
    assert (done.code, done.err) == (2, "eat: brat needs a folder: --output DIR; see: eat export --help\n")


def test_only_what_is_doubtful(finished: Settings, eat: Eat) -> None:
    def ids(*words: str) -> list[str]:
        return [json.loads(line)["id"] for line in eat("export", "demo", *words).out.splitlines()]

    assert ids("--only", "low") == []
    assert ids("--only", "low", "--below", "0.76") == ["k1", "a1"]
    assert ids("--only", "low", "--below", "0.75") == []
    assert ids("--only", "unaligned") == ["k1", "a1"]
    assert ids("--only", "low", "--only", "unaligned") == ["k1", "a1"]
    assert (
        eat("export", "demo", "--only", "low").err.splitlines()[0] == "not in it: 2 documents that were not asked for"
    )


def test_a_review_is_kept_beside_what_the_model_said(finished: Settings, eat: Eat, tmp_path: Path) -> None:
    before = eat("export", "demo").out
    assert reviewed(eat) == []
    write(tmp_path / "mine.jsonl", KOREAN, ARABIC)
    done = review(eat, "mine.jsonl")
    assert (done.code, done.err) == (0, "run demo: 2 reviews added, 0 already there, 0 refused\n")
    korean, arabic = reviewed(eat)
    assert korean["entities"] == []
    assert [line["outcome"] for line in korean["ledger"]] == ["exact", "not_in_translation"]
    (entity,) = arabic["entities"]
    assert (entity["start"], entity["end"], entity["tag"], entity["words"]) == (9, 16, "LOC", "القاهرة")
    assert (entity["via"], entity["english"], entity["confidence"]) == ("review", None, None)
    assert (arabic["review"]["author"], arabic["review"]["reason"]) == ("Kim", "second pass")
    assert eat("export", "demo").out == before
    (shown,) = json.loads(eat("show", "a1", "--json").out)["reviews"]
    assert (shown["author"], shown["entities"]) == ("Kim", [{"start": 9, "end": 16, "tag": "LOC"}])
    assert "review by Kim\n  reason: second pass\n" in eat("show", "a1").out


def test_a_review_imported_twice_adds_nothing_and_the_newest_counts(
    finished: Settings, eat: Eat, tmp_path: Path
) -> None:
    write(tmp_path / "mine.jsonl", KOREAN)
    write(tmp_path / "theirs.jsonl", {**KOREAN, "entities": [{"start": 0, "end": 3, "tag": "ORG"}]})
    review(eat, "mine.jsonl")
    assert json.loads(review(eat, "mine.jsonl", "--json").out) == {
        "run": "demo",
        "added": 0,
        "already": 1,
        "refused": [],
    }
    review(eat, "theirs.jsonl", author="Lee")
    (korean,) = reviewed(eat)
    assert (korean["review"]["author"], korean["entities"][0]["tag"]) == ("Lee", "ORG")
    assert len(json.loads(eat("show", "k1", "--json").out)["reviews"]) == 2


def test_what_does_not_match_is_refused_and_the_rest_stored(finished: Settings, eat: Eat, tmp_path: Path) -> None:
    write(
        tmp_path / "mine.jsonl",
        {**KOREAN, "text": "서울에 갔다."},
        {**KOREAN, "id": "k2"},
        {**ARABIC, "id": None},
        {**KOREAN, "entities": [{"start": 0, "end": 9, "tag": "LOC"}]},
        {**KOREAN, "entities": [{"start": 0, "end": 2, "tag": "MISC"}]},
        {"id": "j1", "text": "壊れた文", "entities": []},
        ["no object"],
        KOREAN,
    )
    done = review(eat, "mine.jsonl")
    assert done.code == 3
    assert done.err.splitlines() == [
        "run demo: 1 reviews added, 0 already there, 7 refused",
        "record 1: the text is not that of the document",
        "record 2: the run has no annotated document of that id or text",
        "record 3: the run has no annotated document of that id or text",
        "record 4: entity [0, 9) is not a span of a text of 6 code points",
        "record 5: tags that are none here: MISC",
        "record 6: the run has no annotated document of that id or text",
        "record 7: not an object",
    ]
    assert eat("import-review", "mine.jsonl", "--run", "x", "--author", "a", "--reason", "r").code == 4
    assert eat("import-review", "mine.jsonl", "--run", "demo", "--author", "a").code == 2


@pytest.mark.parametrize("to", ["label-studio", "doccano"])
def test_what_a_tool_was_given_comes_back(finished: Settings, eat: Eat, tmp_path: Path, to: str) -> None:
    eat("export", "demo", "--to", to, "-o", "out")
    text = (tmp_path / "out").read_text(encoding="utf-8")
    if to == "label-studio":
        tasks = json.loads(text)
        for task in tasks:
            prediction = task.pop("predictions")[0]
            task["annotations"] = [{"result": prediction["result"]}, {"result": [], "was_cancelled": True}]
        text = json.dumps(tasks, indent=1)
    else:
        text = "".join(json.dumps({**json.loads(line), "id": 7}) + "\n" for line in text.splitlines())
    (tmp_path / "out").write_text(text, encoding="utf-8")
    assert review(eat, "out").err == "run demo: 2 reviews added, 0 already there, 0 refused\n"
    model = [json.loads(line) for line in eat("export", "demo").out.splitlines()]
    for person, machine in zip(reviewed(eat), model, strict=True):
        assert [(one["start"], one["end"], one["tag"]) for one in person["entities"]] == [
            (one["start"], one["end"], one["tag"]) for one in machine["entities"]
        ]


def test_a_document_without_id_is_found_by_its_text(finished: Settings, eat: Eat, tmp_path: Path) -> None:
    with open_store(finished.database) as store, store.database.write() as transaction:
        from sqlalchemy import text

        transaction.rows(text("UPDATE documents SET ext_id = NULL WHERE ext_id = 'k1'"))
    write(tmp_path / "mine.jsonl", {**KOREAN, "id": None})
    assert review(eat, "mine.jsonl").err == "run demo: 1 reviews added, 0 already there, 0 refused\n"
    assert [one["id"] for one in reviewed(eat)] == [None]


def test_a_terminal_gets_no_control_or_bidi_character_of_a_record() -> None:
    screen = io.StringIO()
    Harmless(screen).write(json_line({"text": "a\x1b[31m\x9b2J\u202e\u2066b\u200b서울\tc"}))
    Harmless(screen).write(b"x\ty\x1b]0;z\x07\r\n")
    assert screen.getvalue() == (
        '{"text":"a\\u001b[31m\\x9b2J\\u202e\\u2066b\\u200b서울\\tc"}\nx\ty\\x1b]0;z\\x07\\r\n'
    )


def test_an_export_on_a_terminal_is_harmless_and_no_binary(
    finished: Settings, eat: Eat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(finished.database) as store, store.database.write() as transaction:
        from sqlalchemy import text

        transaction.rows(text("UPDATE documents SET english = 'a\u202e\u009bb' WHERE ext_id = 'k1'"))
    assert "\u202e\u009b" in eat("export", "demo").out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = eat("export", "demo").out
    assert "a\\u202e\\x9bb" in shown
    assert not {"\u202e", "\u009b"} & set(shown)
    done = eat("export", "demo", "--to", "parquet")
    assert (done.code, "parquet is no text for a terminal: --output FILE" in done.err) == (2, True)
