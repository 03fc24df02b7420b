"""dead, retry, pause, resume, cancel, priority: what an operator does, in this process, with the scripted engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eat_worker.settings import Settings

Eat = Callable[..., Any]
ENGINE = ("--engine", "scripted", "--broker", "none")


def told(eat: Eat, *words: str) -> Any:
    done = eat(*words, "--json")
    assert done.code == 0, done.out
    return json.loads(done.out)


def state(eat: Eat, run: str = "demo") -> tuple[str, int, int]:
    """State, queued and failed documents of the run."""
    one = told(eat, "status", run)["runs"][0]
    return one["state"], one["documents"]["queued"], one["documents"]["failed"]


def test_dead_letters_are_listed_with_reason_attempts_and_time(finished: Settings, eat: Eat) -> None:
    (letter,) = told(eat, "dead", "list")["documents"]
    assert letter.pop("failed_at").endswith("+00:00")
    assert letter == {
        "document": 3,
        "id": "j1",
        "run": "demo",
        "stage": "forward",
        "code": "too_long",
        "message": "9,000 tokens",
        "attempts": 1,
    }
    lines = eat("dead", "list", "--run", "de").out.splitlines()
    assert lines[0].split() == ["document", "id", "run", "stage", "code", "attempts", "failed", "at", "message"]
    assert lines[2].split()[:6] == ["3", "j1", "demo", "forward", "too_long", "1"]
    assert eat("dead", "list", "-q").out == "3\n"
    assert eat("dead", "list", "--run", "other").code == 4


def test_a_dead_letter_is_shown_attempt_by_attempt(finished: Settings, eat: Eat) -> None:
    out = eat("dead", "show", "3").out
    for line in (
        "document: 3 of run demo",
        "id: j1",
        "text: 壊れた文",
        "failed: at stage forward, after 1 attempts",
        "error: too_long: 9,000 tokens",
    ):
        assert line in out.splitlines()
    shown = told(eat, "dead", "show", "3")
    assert (shown["text"], shown["code"]) == ("壊れた文", "too_long")
    (attempt,) = shown["history"]
    assert (attempt["stage"], attempt["worker"], attempt["outcome"]) == ("forward", "w1", "failed")
    assert eat("dead", "show", "j1", "-q").out == "3\n"
    wrong = eat("dead", "show", "1")
    assert (wrong.code, wrong.err) == (4, "eat: document 1 has not failed, or there is none; see: eat dead list\n")


def test_exported_dead_letters_can_be_submitted_again(finished: Settings, eat: Eat, tmp_path: Path) -> None:
    out = eat("dead", "export").out
    (record,) = [json.loads(line) for line in out.splitlines()]
    assert (record["id"], record["text"], record["lang"], record["dataset"]) == ("j1", "壊れた文", "ja", "stockmark")
    assert "entities" not in record  # not known, which is not the same as none
    assert (record["failure"]["code"], record["failure"]["run"]) == ("too_long", "demo")
    (tmp_path / "dead.jsonl").write_text(out, encoding="utf-8")
    again = told(eat, "submit", "dead.jsonl", *ENGINE, "--run", "again")
    assert (again["new"], again["rejected"]) == (1, {})
    dossier = told(eat, "show", "j1", "--run", "again")
    assert dossier["meta"]["failure"]["code"] == "too_long"
    assert eat("dead", "export", "--json").out == out


def test_without_dead_letters_every_list_is_empty(eat: Eat) -> None:
    done = eat("dead", "list")
    assert (done.code, done.out, done.err) == (0, "", "no document has failed\n")
    assert told(eat, "dead", "list") == {"documents": []}
    assert eat("dead", "export").out == ""


def test_a_failed_document_is_put_back_by_number_or_by_run(finished: Settings, eat: Eat) -> None:
    assert told(eat, "dead", "retry", "3") == {"documents": 1}
    assert state(eat) == ("open", 2, 0)
    assert eat("dead", "retry", "3").code == 4
    assert eat("dead", "retry", "--run", "demo").out == "0 documents are in the queue again\n"
    for words in ((), ("3", "--run", "demo")):
        done = eat("dead", "retry", *words)
        assert (done.code, done.err) == (78, "eat: name documents by their numbers, or a run: --run NAME\n")


def test_retry_of_the_failed_stays_in_the_run(finished: Settings, eat: Eat) -> None:
    assert told(eat, "retry", "dem", "--failed") == {"run": "demo", "of": "demo", "documents": 1, "already": 0}
    assert state(eat) == ("open", 2, 0)
    done = eat("retry", "demo", "--failed")
    assert (done.out, done.err) == ("run demo: 0 documents in the queue again\n", "nothing is left to do\n")


def test_retry_under_other_settings_makes_a_run_of_its_own(finished: Settings, eat: Eat) -> None:
    made = told(eat, "retry", "demo", "--failed", "--set", "rounds=5", "--set", "tags=PER,LOC")
    assert (made["of"], made["documents"]) == ("demo", 1)
    assert made["run"].startswith("demo-")
    assert state(eat, made["run"]) == ("open", 1, 0)
    assert state(eat) == ("open", 1, 1)  # the old run keeps its dead letter
    dossier = told(eat, "show", "j1", "--run", made["run"])
    assert (dossier["settings"]["rounds"], dossier["settings"]["tags"]) == (5, ["PER", "LOC"])
    assert dossier["fingerprint"] == "f" * 64
    again = eat("retry", "demo", "--failed", "--set", "rounds=5", "--set", "tags=PER,LOC")
    assert again.out == f"run {made['run']}: 0 documents in the queue again, 1 already there\n"
    assert again.err == "see: eat status\n"


def test_retry_by_outcome_takes_done_documents(finished: Settings, eat: Eat) -> None:
    made = told(eat, "retry", "demo", "--outcome", "not_in_translation", "--set", "matcher=official")
    assert made["documents"] == 2
    assert eat("retry", "demo", "--outcome", "exact", "--set", "rounds=1", "-q").out.startswith("demo-")
    empty = told(eat, "retry", "demo", "--outcome", "unsure", "--set", "min-confidence=0.2")
    assert empty["documents"] == 0
    assert len(told(eat, "status")["runs"]) == 3  # no document made no run


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "say which documents: --failed or --outcome OUTCOME; see: eat retry --help"),
        (("--failed", "--outcome", "exact"), 2, "say which documents: --failed or --outcome OUTCOME; see: eat retry"),
        (("--outcome", "exact"), 2, "the same settings would give the same answers; change one: --set NAME=VALUE"),
        (("--outcome", "none"), 2, "Invalid value for '--outcome'"),
        (("--failed", "--set", "rounds"), 78, "--set rounds: write NAME=VALUE, such as rounds=5"),
        (("--failed", "--set", "rounds=3"), 78, "rounds=3: run demo has these settings already"),
        (("--failed", "--set", "rounds=2"), 78, "rounds = 2 is not one of: 1, 3, 5"),
        (("--failed", "--set", "rounds=x"), 78, "--set rounds=x: 'x' is not a whole number"),
        (("--failed", "--set", "slots=2"), 78, "--set slots=2: a run has no setting slots; it has: method, rounds"),
        (
            ("--failed", "--set", "prompts=official"),
            78,
            "other workers would be needed; submit the corpus with --prompt",
        ),
    ],
)
def test_a_retry_that_cannot_be_says_why(finished: Settings, eat: Eat, words: Any, code: int, message: str) -> None:
    done = eat("retry", "demo", *words)
    assert done.code == code
    assert message in done.err


def test_a_run_is_paused_and_resumed(finished: Settings, eat: Eat) -> None:
    assert told(eat, "pause", "demo") == {"run": "demo", "state": "paused", "priority": 0, "cancelled": 0}
    assert eat("pause", "demo").out == "run demo: paused; to continue: eat resume demo\n"
    assert state(eat)[0] == "paused"
    assert eat("resume", "demo").out == "run demo: open\n"
    assert eat("resume", "demo", "-q").out == "demo\n"
    assert eat("pause", "other").code == 4


def test_a_cancelled_run_stays_cancelled(finished: Settings, eat: Eat) -> None:
    assert eat("cancel", "demo").out == "run demo: cancelled, 1 documents with it\n"
    assert told(eat, "cancel", "demo")["cancelled"] == 0
    assert told(eat, "status", "demo")["runs"][0]["documents"]["cancelled"] == 1
    done = eat("resume", "demo")
    assert (done.code, done.err) == (1, "eat: run demo is cancelled: it cannot become open any more\n")
    assert eat("dead", "retry", "3").code == 1


def test_priority_is_set_and_told(finished: Settings, eat: Eat) -> None:
    assert eat("priority", "demo", "7").out == "run demo: priority 7\n"
    assert told(eat, "status", "demo")["runs"][0]["priority"] == 7
    assert eat("priority", "demo", "--", "-3").out == "run demo: priority -3\n"
    assert eat("priority", "demo", "1001").code == 2


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    texts = ("Hier ist Oslo", "Anna kam")
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"text": text, "lang": "de"}) + "\n" for text in texts))
    return "corpus.jsonl"


def test_a_submit_may_give_its_run_a_priority(eat: Eat, corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def priority() -> int:
        return int(told(eat, "status", "r")["runs"][0]["priority"])

    eat("submit", corpus, *ENGINE, "--run", "r", "--priority", "5")
    assert priority() == 5
    eat("submit", corpus, *ENGINE, "--run", "r")  # not given, not changed
    assert priority() == 5
    monkeypatch.setenv("EAT_PRIORITY", "0")
    eat("submit", corpus, *ENGINE, "--run", "r")
    assert priority() == 0


def test_a_file_whose_every_record_is_refused_makes_no_run(eat: Eat, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": ""}\n{\n')
    done = eat("submit", "bad.jsonl", "--lang", "de", *ENGINE)
    assert done.code == 3
    assert "2 records refused (1 E_JSON, 1 E_TEXT_BLANK)" in done.err
    assert "nothing is left to do" in done.err
    assert told(eat, "status")["runs"] == []
    run = eat("run", "bad.jsonl", "--lang", "de", *ENGINE)
    assert (run.code, run.out) == (3, "")
    assert "no run was made: every record was refused" in run.err
    found = json.loads(eat("run", "bad.jsonl", "--lang", "de", *ENGINE, "--json").out)
    assert (found["documents"], found["failures"], found["report"]) == ({}, {}, None)
    assert found["submitted"]["rejected"] == {"E_TEXT_BLANK": 1, "E_JSON": 1}


def test_refused_records_for_a_run_that_is_there_leave_it_alone(eat: Eat, corpus: str, tmp_path: Path) -> None:
    eat("submit", corpus, *ENGINE, "--run", "r")
    (tmp_path / "bad.jsonl").write_text('{"text": ""}\n')
    found = json.loads(eat("submit", "bad.jsonl", "--lang", "de", *ENGINE, "--run", "r", "--json").out)
    assert (found["new"], found["already"], found["left"]) == (0, 0, 2)


def test_eat_run_says_that_it_ends_older_runs_first_and_counts_them(
    eat: Eat, corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eat_worker.cli.progress import Progress

    bars: list[tuple[int, int | None]] = []
    real = Progress.update

    def update(self: Progress, done: int, total: int | None = None, detail: str = "") -> None:
        bars.append((done, total))
        real(self, done, total, detail)

    monkeypatch.setattr(Progress, "update", update)
    eat("submit", corpus, *ENGINE, "--run", "old")
    (tmp_path / "new.jsonl").write_text('{"text": "Bonn", "lang": "de"}\n')
    done = eat("run", "new.jsonl", *ENGINE, "--run", "new")
    assert done.code == 0
    assert "2 documents of other runs come first: old\n" in done.err
    assert bars[-1] == (3, 3)
    assert state(eat, "old") == ("complete", 0, 0)


def test_eat_run_of_a_paused_run_says_how_to_go_on(eat: Eat, corpus: str) -> None:
    eat("submit", corpus, *ENGINE, "--run", "r")
    eat("pause", "r")
    done = eat("run", corpus, *ENGINE, "--run", "r")
    assert "run r is paused; to continue: eat resume r\n" in done.err
    assert state(eat, "r")[1] == 2
    eat("cancel", "r")
    done = eat("run", corpus, *ENGINE, "--run", "r")
    assert (done.code, done.err.splitlines()[-1]) == (
        1,
        "eat: run r is cancelled; give the documents another one: --run NAME",
    )


def test_ctrl_c_while_the_program_is_loaded_is_quiet() -> None:
    program = """
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "eat_worker.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
import runpy
runpy.run_module("eat_worker", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
