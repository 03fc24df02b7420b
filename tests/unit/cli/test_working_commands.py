"""submit, run, annotate and --watch, in this process, with the scripted engine and no broker."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eat_worker.settings import Settings
from eat_worker.storage.store import open_store

Eat = Callable[..., Any]
ENGINE = ("--engine", "scripted", "--broker", "none")


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    lines = [
        {"id": "d1", "text": "Hier ist Oslo", "lang": "de", "entities": [{"start": 9, "end": 13, "tag": "LOC"}]},
        {"text": "Anna kam", "lang": "de", "entities": []},
    ]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return "corpus.jsonl"


@pytest.fixture
def broken(tmp_path: Path, corpus: str) -> str:
    (tmp_path / "broken.jsonl").write_text((tmp_path / corpus).read_text() + "{\n", encoding="utf-8")
    return "broken.jsonl"


def test_submit_tells_the_run_and_what_is_new(eat: Eat, corpus: str) -> None:
    done = eat("submit", corpus, *ENGINE, "--run", "r")
    assert (done.code, done.out) == (0, "run r: 2 new, 0 already there, 2 still to do\n")
    assert done.err == "next: eat worker\n"
    again = eat("submit", corpus, *ENGINE, "--run", "r")
    assert (again.out, again.err) == ("run r: 0 new, 2 already there, 2 still to do\n", "see: eat status\n")
    assert eat("submit", corpus, *ENGINE, "--run", "r", "-q").out == "r\n"
    assert json.loads(eat("submit", corpus, *ENGINE, "--run", "r", "--json").out)["already"] == 2


def test_submit_says_when_nothing_is_left(eat: Eat, corpus: str) -> None:
    assert eat("run", corpus, *ENGINE, "--run", "r").code == 0
    done = eat("submit", corpus, *ENGINE, "--run", "r")
    assert (done.out, done.err) == ("run r: 0 new, 2 already there, 0 still to do\n", "nothing is left to do\n")
    assert json.loads(eat("submit", corpus, *ENGINE, "--run", "r", "--json").out)["left"] == 0


def test_refused_records_end_with_3_and_are_kept_once(eat: Eat, broken: str, tmp_path: Path) -> None:
    for _ in range(2):
        done = eat("submit", broken, *ENGINE, "--run", "r")
        assert done.code == 3
        (file,) = (tmp_path / ".eat" / "quarantine").iterdir()
        assert f"1 records refused (1 E_JSON); they are in {file}" in done.err
        assert json.loads(file.read_text())["line"] == 3


BIO = "Anna B-PS\nkam O\n\nin O\nOslo I-LC\n\n"


@pytest.fixture
def tagged(tmp_path: Path) -> str:
    (tmp_path / "tagged.bio").write_text(BIO, encoding="utf-8")
    (tmp_path / "map.json").write_text('{"PS": "PER", "LC": null}', encoding="utf-8")
    return "tagged.bio"


def test_tags_of_a_file_may_be_mapped_by_a_file_or_a_known_dataset(eat: Eat, tagged: str) -> None:
    def dropped(*words: str) -> Any:
        done = json.loads(eat("submit", tagged, "--lang", "de", *ENGINE, *words, "--json").out)
        return done["run"], done["dropped"]

    runs, counts = zip(*(dropped(), dropped("--tag-map", "map.json"), dropped("--tag-map", "klue")), strict=True)
    assert counts == ({}, {"LC": 1}, {})  # PS and LC are common names, which a map may take out
    assert len(set(runs)) == 3  # other gold is another run
    assert eat("submit", tagged, "--lang", "de", *ENGINE, "--tag-map", "absent").code == 78


def test_gold_that_no_map_knows_is_told_loudly(eat: Eat) -> None:
    Path("odd.conll").write_text("Anna\tB-HERO\nging\tO\n\nBonn\tB-town\n", encoding="utf-8")
    done = eat("submit", "odd.conll", "--lang", "de", *ENGINE)
    assert done.code == 0
    assert "WARNING: 2 gold entities left out, because no map knows their tags: HERO 1, town 1" in done.err
    assert '--tag-map FILE with {"HERO": "PER, LOC, ORG or null"' in done.err


def test_validate_reads_a_file_and_queues_nothing(eat: Eat) -> None:
    Path("mixed.txt").write_text('{"text": "gut", "lang": "de"}\n{"text": 5}\n\n', encoding="utf-8")
    done = eat("validate", "mixed.txt", "--json")
    found = json.loads(done.out)
    assert done.code == 3
    assert (found["documents"], found["rejected"]) == (1, {"E_TEXT_TYPE": 1})
    assert found["first_rejected"][0]["where"] == "mixed.txt:2:30"
    assert [found[name] for name in ("document_bytes", "rejected_bytes", "other_bytes")] == [30, 12, 1]
    assert Path(found["quarantine"]).exists()
    assert "no runs yet" in eat("status").err
    told = eat("validate", "mixed.txt")
    assert "mixed.txt: 1 documents, gold entities: none" in told.out
    assert "mixed.txt:2:30: E_TEXT_TYPE: text must be a string" in told.out


def test_on_error_fail_stores_nothing(eat: Eat) -> None:
    Path("mixed.jsonl").write_text('{"text": "gut", "lang": "de"}\n{"text": 5}\n', encoding="utf-8")
    done = eat("submit", "mixed.jsonl", *ENGINE, "--on-error", "fail")
    assert done.code == 1
    assert "mixed.jsonl:2:30: E_TEXT_TYPE: text must be a string" in done.err
    assert "no runs yet" in eat("status").err
    assert eat("submit", "-", *ENGINE, "--on-error", "fail").code == 78


@pytest.mark.parametrize("state", ["corpus%20news", "wer?da", "100%eaten", "a#b"])
def test_the_database_lies_in_its_folder_whatever_that_is_called(eat: Eat, state: str) -> None:
    Path("one.jsonl").write_text('{"text": "gut", "lang": "de"}\n', encoding="utf-8")
    assert eat("submit", "one.jsonl", *ENGINE, "--state", state).code == 0
    assert (Path(state) / "eat.db").exists()
    assert [path.parent.name for path in Path().rglob("eat.db")] == [state]


def test_a_tag_map_may_be_a_variable(eat: Eat, tagged: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAT_TAG_MAP", "klue")
    assert json.loads(eat("submit", tagged, "--lang", "de", *ENGINE, "--json").out)["dropped"] == {}


def test_strict_bio_refuses_what_is_repaired_otherwise(eat: Eat, tagged: str) -> None:
    lax = json.loads(eat("run", tagged, "--lang", "de", *ENGINE, "--tag-map", "klue", "--run", "a", "--json").out)
    assert (lax["submitted"]["repaired"], lax["submitted"]["rejected"]) == (1, {})
    strict = eat("run", tagged, "--lang", "de", *ENGINE, "--tag-map", "klue", "--strict-bio", "--run", "b", "--json")
    assert json.loads(strict.out)["submitted"]["rejected"] == {"E_TAG": 1}
    assert eat("annotate", tagged, "--lang", "de", *ENGINE, "--tag-map", "klue").code == 0
    assert eat("annotate", tagged, "--lang", "de", *ENGINE, "--tag-map", "klue", "--strict-bio").code == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("absent.jsonl",), 1),
        (("corpus.jsonl", "--lang", "kx"), 78),
        (("corpus.jsonl", "--rounds", "2"), 78),
        (("corpus.jsonl", "--limit", "0"), 2),
        (("corpus.jsonl", "--format", "xml"), 2),
        (("corpus.jsonl", "--method", "magic"), 2),
    ],
)
def test_what_cannot_be_submitted_leaves_nothing_behind(
    eat: Eat, corpus: str, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    assert eat("submit", *words, *ENGINE).code == code
    assert not (tmp_path / ".eat").exists()


def test_an_option_of_a_command_may_be_a_variable(eat: Eat, corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAT_RUN", "from-variable")
    monkeypatch.setenv("EAT_ENGINE", "scripted")
    monkeypatch.setenv("EAT_LIMIT", "1")
    done = json.loads(eat("submit", corpus, "--json").out)
    assert (done["run"], done["new"]) == ("from-variable", 1)


def test_run_ends_with_the_table_and_the_paths(eat: Eat, corpus: str, tmp_path: Path) -> None:
    done = eat("run", corpus, *ENGINE, "--run", "r")
    assert done.code == 0
    assert done.out.splitlines()[2].split()[:4] == ["r", "–", "de", "2"]
    assert done.err.splitlines()[-2:] == [
        f"database: {tmp_path}/.eat/eat.db",
        f"logs: {tmp_path}/.eat/logs",
    ]
    again = eat("run", corpus, *ENGINE, "--run", "r")
    assert (again.code, again.out) == (0, done.out)
    assert "nothing is left to do" in again.err


def test_run_speaks_json_and_ids(eat: Eat, broken: str) -> None:
    done = eat("run", broken, *ENGINE, "--run", "r", "--json")
    assert done.code == 3
    assert done.err == ""
    found = json.loads(done.out)
    assert found["run"] == "r"
    assert found["documents"] == {"queued": 0, "running": 0, "done": 2, "skipped": 0, "failed": 0, "cancelled": 0}
    assert found["submitted"]["rejected"] == {"E_JSON": 1}
    assert found["report"]["rows"][0]["documents"] == 2
    assert sorted(found["written"]) == ["database", "logs", "quarantine"]
    quiet = eat("run", broken, *ENGINE, "--run", "r", "-q")
    assert (quiet.out, quiet.err) == ("r\n", "")


def test_a_run_whose_documents_all_fail_says_why(eat: Eat, corpus: str, tmp_path: Path) -> None:
    (tmp_path / "script.jsonl").write_text('{"fault": "too_long", "text": ""}\n')
    done = eat("run", corpus, *ENGINE, "--script", "script.jsonl", "--run", "r", "--max-faults", "1")
    assert done.code == 3
    assert "no document could be scored" in done.err
    assert done.err.splitlines()[-1] == "2 documents failed (2 too_long); eat show DOCUMENT says why"


def test_annotate_writes_one_record_per_line(eat: Eat, broken: str, tmp_path: Path) -> None:
    done = eat("annotate", broken, *ENGINE)
    assert done.code == 3
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [entity["words"] for entity in records[0]["entities"]] == ["Hier", "Oslo"]
    assert records[2]["error"]["code"] == "E_JSON"
    assert done.err == "1 records failed or were refused; their lines say why\n"
    into = eat("annotate", broken, *ENGINE, "-o", "out.jsonl", "--with-rounds", "-q")
    assert (into.code, into.out, into.err) == (3, "", "")
    first = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["rounds"][0]["stage"] == "forward"
    assert not (tmp_path / ".eat").exists()


def test_annotate_does_not_write_over_the_file_it_reads(eat: Eat, corpus: str, tmp_path: Path) -> None:
    before = (tmp_path / corpus).read_text()
    (tmp_path / "link.jsonl").symlink_to(corpus)
    done = eat("annotate", corpus, *ENGINE, "-o", "link.jsonl")
    assert (done.code, done.err) == (2, "eat: link.jsonl is the file that is read; see: eat annotate --help\n")
    assert (tmp_path / corpus).read_text() == before


def test_annotate_leaves_the_output_alone_when_there_is_nothing_to_read(eat: Eat, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("precious\n")
    assert eat("annotate", "absent.jsonl", *ENGINE, "-o", "out.jsonl").code == 1
    assert (tmp_path / "out.jsonl").read_text() == "precious\n"


def test_watch_redraws_in_place_on_a_terminal(
    finished: Settings, eat: Eat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    def end(_: float) -> None:
        with open_store(finished.database) as store:
            claim = store.queue.claim_next(["chat.f"], "w2", 60)
            assert claim is not None
            store.queue.fail(claim, "engine", "no", retryable=False, max_faults=1, not_before_seconds=0)

    screen = Tty()
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("time.sleep", end)
    monkeypatch.setattr(sys, "stdout", screen)
    assert eat("status", "--watch").code == 0
    assert "2/4" in screen.getvalue()
    assert "1 engine" in screen.getvalue()


def test_a_narrow_terminal_gets_fewer_columns_and_is_told(
    finished: Settings, eat: Eat, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Tty()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", screen)
    assert eat("report").code == 0
    heads = re.sub(r"\x1b\[\d*m", "", screen.getvalue()).splitlines()[0].split()
    assert heads[:5] == ["run", "dataset", "lang", "docs", "F1"]
    assert "R" not in heads
    assert "left out for lack of width: P, R, official, span; " in screen.getvalue()
