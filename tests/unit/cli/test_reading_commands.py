"""status, report and show on a database with one finished run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from eat_worker.cli import main
from eat_worker.cli.figures import csv_text, markdown
from eat_worker.corpora.exports import ExportFormat, Records, Written
from eat_worker.corpora.reading import read_documents
from eat_worker.errors import StoreUnavailable
from eat_worker.method.document import Document
from eat_worker.metrics.published import Published
from eat_worker.runs.reporting import report
from eat_worker.settings import Settings
from eat_worker.storage.reading import Reading
from eat_worker.storage.store import open_store
from eat_worker.storage.values import Process, WorkerSpec

Eat = Callable[..., Any]


def test_status_counts_documents_by_status(finished: Settings, eat: Eat) -> None:
    done = eat("status", "--json")
    assert done.code == 0
    (run,) = json.loads(done.out)["runs"]
    assert run["run"] == "demo"
    assert run["state"] == "open"
    assert run["documents"] == {"queued": 1, "running": 0, "done": 2, "skipped": 0, "failed": 1, "cancelled": 0}
    assert run["failures"] == {"too_long": 1}
    assert (run["rounds"], run["generated_tokens"], run["seconds_generating"]) == (2, 10, 4.0)


def test_status_as_a_table_and_by_name(finished: Settings, eat: Eat) -> None:
    out = eat("status", "dem").out
    assert out.splitlines()[2].split()[:6] == ["demo", "open", "2/4", "1", "0", "1"]
    assert out.splitlines()[2].endswith("1 too_long")
    assert eat("status", "-q").out == "demo\n"


def test_an_unknown_run_ends_with_4(finished: Settings, eat: Eat) -> None:
    assert eat("status", "other").code == 4
    assert eat("report", "--run", "other").code == 4
    assert eat("report", "--dataset", "other").code == 4
    assert eat("show", "nobody").code == 4


def test_no_run_yet_says_how_to_start(finished: Settings, eat: Eat) -> None:
    eat("db", "upgrade", "--state", "other")
    done = eat("status", "--state", "other")
    assert (done.code, done.out) == (0, "")
    assert "eat run FILE" in done.err


def test_before_the_first_run_there_is_nothing_to_see_and_nothing_wrong(eat: Eat, tmp_path: Path) -> None:
    start = "no runs yet; start one: eat run FILE --lang LANG\n"
    for command in ("status", "report"):
        done = eat(command)
        assert (done.code, done.out, done.err) == (0, "", start)
    assert json.loads(eat("status", "--json").out)["runs"] == []
    assert json.loads(eat("report", "--json").out) == {"rows": [], "fingerprints": {}}
    nothing = f"eat: nothing was submitted with the state folder {tmp_path}/.eat yet; eat run FILE --lang LANG\n"
    for words in (("status", "news"), ("report", "--run", "news"), ("show", "1"), ("pause", "news")):
        done = eat(*words)
        assert (done.code, done.out, done.err) == (4, "", nothing)
    assert not (tmp_path / ".eat").exists()


def test_a_database_that_was_named_must_be_there(eat: Eat) -> None:
    done = eat("status", "--database-url", "sqlite:///absent.db")
    assert done.code == 78
    assert done.err.endswith("run: eat db upgrade\n")


def test_watching_ends_with_the_run(finished: Settings, eat: Eat, monkeypatch: pytest.MonkeyPatch) -> None:
    from eat_worker.storage.store import open_store

    def cancel(_seconds: float, _until: float) -> bool:
        with open_store(finished.database) as store:
            claim = store.queue.claim_next(["chat.f"], "w2", 60)
            assert claim is not None
            store.queue.fail(claim, "engine", "no", retryable=False, max_faults=1, not_before_seconds=0)
        return True

    # Not time.sleep: threads of other tests may call that too.
    monkeypatch.setattr("eat_worker.cli.status._slept", cancel)
    assert eat("status", "--watch").out == "demo: 3/4 documents, 1 failed\ndemo: 4/4 documents, 2 failed\n"
    lines = eat("status", "--watch", "--json").out.splitlines()
    assert [json.loads(line)["runs"][0]["documents"]["failed"] for line in lines] == [2]


def test_status_lists_workers_and_how_they_fare(finished: Settings, eat: Eat) -> None:
    with open_store(finished.database) as store:
        for name in ("first", "second", "third"):
            process = Process("host", 7, started=5, boot=None)
            store.queue.add_worker(WorkerSpec(name, process, ["chat.f", "extract.a"], ["f", "a"], "0.7"))
        with store.database.write() as transaction:
            transaction.run(text("UPDATE workers SET last_heartbeat = last_heartbeat - 61 WHERE name = 'second'"))
            transaction.run(text("UPDATE workers SET last_heartbeat = 1 WHERE name = 'third'"))
        store.queue.end_worker(1)
    found = json.loads(eat("status", "--workers", "--json").out)["workers"]
    assert [(one["name"], one["state"]) for one in found] == [("first", "ended"), ("second", "silent")]
    assert found[0]["ended_at"] == found[0]["last_heartbeat"] is not None
    assert found[1] == {
        "name": "second",
        "state": "silent",
        "host": "host",
        "process": 7,
        "fingerprints": ["a", "f"],
        "queues": ["chat.f", "extract.a"],
        "version": "0.7",
        "ended_at": None,
        **{name: found[1][name] for name in ("started_at", "last_heartbeat")},
    }
    rows = eat("status", "--workers").out.splitlines()[2:]
    assert [row.split()[:7] for row in rows] == [
        ["first", "ended", "host", "7", "a", "f", "0.7"],
        ["second", "silent", "host", "7", "a", "f", "0.7"],
    ]
    assert rows[1].split()[7:] == ["1:01", "min", "ago"]
    assert eat("status", "--workers", "-q").out == "first\nsecond\n"


def test_status_without_workers_says_how_to_start_one(eat: Eat) -> None:
    done = eat("status", "--workers")
    assert (done.code, done.out) == (0, "")
    assert done.err == "no worker was heard of within a day; start one: eat worker\n"
    assert json.loads(eat("status", "--workers", "--json").out) == {"workers": []}
    assert eat("status", "news", "--workers").code == 2
    assert eat("status", "--watch", "--workers").code == 2


def test_report_has_a_row_by_language_and_one_for_all(finished: Settings, eat: Eat) -> None:
    done = eat("report", "--json")
    assert done.code == 0
    found = json.loads(done.out)
    rows = found["rows"]
    assert [(row["run"], row["dataset"], row["lang"], row["documents"]) for row in rows] == [
        ("demo", "aqmar", "ar", 1),
        ("demo", "klue", "ko", 1),
        ("demo", "all", "all", 2),
    ]
    assert rows[1]["token_strict"] == {"f1": 100.0, "precision": 100.0, "recall": 100.0, "low": 100.0, "high": 100.0}
    assert rows[2]["span"] == {"f1": 50.0, "precision": 50.0, "recall": 50.0, "low": 0.0, "high": 100.0}
    assert rows[2]["outcomes"] == {"exact": 2, "not_in_translation": 2}
    assert rows[2]["bleu"] is None
    assert rows[1]["bleu_mean"] == 25.0
    assert rows[1]["seconds_per_sentence"] == 2.0
    assert found["fingerprints"]["demo"]["fingerprint"] == "f" * 64
    assert found["fingerprints"]["demo"]["settings"]["rounds"] == 3


def test_report_narrows_by_dataset_and_language(finished: Settings, eat: Eat) -> None:
    assert [row["lang"] for row in json.loads(eat("report", "--dataset", "klue", "--json").out)["rows"]] == ["ko"]
    assert [row["lang"] for row in json.loads(eat("report", "--lang", "ar", "--json").out)["rows"]] == ["ar"]
    assert eat("report", "-q").out == "demo\n"


def test_report_table_explains_its_figures(finished: Settings, eat: Eat) -> None:
    out = eat("report").out
    assert "seed 0" in out
    assert "BLEU (ko): nrefs:1" in out
    assert "2 exact, 2 not_in_translation" in out


def test_report_as_csv_has_a_column_per_figure(finished: Settings, eat: Eat) -> None:
    rows = list(csv.DictReader(io.StringIO(eat("report", "--csv").out)))
    assert [row["lang"] for row in rows] == ["ar", "ko", "all"]
    assert rows[1]["token_strict_f1"] == "100.0"
    assert rows[1]["outcomes_exact"] == "1"


def test_a_csv_cell_cannot_become_a_formula(finished: Settings) -> None:
    found = report(finished)
    hostile = replace(found, rows=(replace(found.rows[0], dataset="=HYPERLINK(1)", run="@run"),))
    row = next(csv.DictReader(io.StringIO(csv_text(hostile))))
    assert (row["dataset"], row["run"]) == ("'=HYPERLINK(1)", "'@run")


def test_report_as_markdown_is_one_table(finished: Settings, eat: Eat) -> None:
    lines = eat("report", "--md").out.splitlines()
    assert lines[0].startswith("| run | dataset | lang | docs | F1 |")
    assert lines[3].startswith("| demo | klue | ko | 1 | 100.0 | 100.0–100.0 |")
    assert len({line.count("|") for line in lines[:5]}) == 1


def test_a_name_cannot_break_the_markdown_table(finished: Settings) -> None:
    found = report(finished)
    hostile = replace(found, rows=(replace(found.rows[0], dataset="a|b\nc"),))
    assert r"| a\|b\nc |" in markdown(hostile)


def test_published_figures_stand_beside_ours(finished: Settings, eat: Eat, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Published("Table 4", "EAT", "WikiANN test", "token micro F1", "ko", 65.23)
    monkeypatch.setattr("eat_worker.runs.reporting.published", lambda dataset, lang: [cell] if lang == "ko" else [])
    out = eat("report").out
    assert out.splitlines()[-1].split() == [
        "WikiANN",
        "test",
        "ko",
        "EAT",
        "(Table",
        "4)",
        "65.23",
        "–",
        "token",
        "micro",
        "F1",
    ]
    assert json.loads(eat("report", "--json").out)["rows"][1]["published"][0]["f1"] == 65.23


def test_show_tells_the_whole_story_of_a_document(finished: Settings, eat: Eat) -> None:
    out = eat("show", "k1").out
    for line in (
        "document 1 of run demo",
        "  text (ko): 서울에 갔다",
        "  english: Seoul was there",
        "forward, round 1",
        "  prompt: Sentence (Korean): 서울에 갔다",
        "  answer: A thought.",
        "  cost: 100 prompt tokens (60 cached, 40 computed), 5 written, 2.00 s, batch of 1, flag long",
        "  token-strict counts: 1 right, 0 wrong, 0 missed",
        f"  fingerprint: {'f' * 64}",
    ):
        assert line in out.splitlines(), line
    assert "[0, 2)  서울" in out
    assert "not_in_translation" in out


def test_show_finds_a_document_by_number_too(finished: Settings, eat: Eat) -> None:
    by_id, by_number = eat("show", "a1", "--json"), eat("show", "2", "--json")
    assert by_id.out == by_number.out
    dossier = json.loads(by_id.out)
    assert dossier["text"] == "زار أحمد القاهرة"
    assert dossier["ledger"][0]["words"] == "أحمد"
    assert (dossier["ledger"][0]["start"], dossier["ledger"][0]["end"]) == (4, 8)
    assert dossier["ledger"][1]["words"] is None
    assert dossier["gold"] == [{"start": 4, "end": 8, "tag": "PER"}]
    assert dossier["attempts"][0]["outcome"] == "committed"
    assert eat("show", "a1", "-q").out == "2\n"


def test_show_says_why_a_document_failed(finished: Settings, eat: Eat) -> None:
    out = eat("show", "j1").out
    assert "  status: failed, at stage forward" in out
    assert "  error: too_long: 9,000 tokens" in out
    assert json.loads(eat("show", "j1", "--json").out)["error"] == {"code": "too_long", "message": "9,000 tokens"}


def test_servers_that_do_not_answer_end_with_69_and_show_no_password(eat: Eat) -> None:
    database = eat("status", "--database-url", "postgresql://u:canary@127.0.0.1:9/d?password=kanarie")
    eat("db", "upgrade")
    broker = eat("worker", "--engine", "scripted", "--broker", "redis://:canary@127.0.0.1:9/0")
    assert (database.code, broker.code) == (69, 69)
    for said in (database.err, broker.err):
        assert "does not answer" in said
        assert "canary" not in said
        assert "kanarie" not in said


@pytest.fixture
def twice(finished: Settings) -> Settings:
    """The documents of `demo` in a second run as well."""
    with open_store(finished.database) as store:
        spec = replace(store.runs.get_run("demo").spec, name="again")
        store.runs.add_documents(
            store.runs.add_run(spec).id, [store.reading.dossier(number).document for number in (1, 2)]
        )
    return finished


def test_an_id_that_several_runs_have_shows_the_newest_and_names_them(twice: Settings, eat: Eat) -> None:
    done = eat("show", "k1")
    assert done.code == 0
    assert done.out.startswith("document 5 of run again\n")
    assert done.err == (
        "2 documents have the id 'k1': 5 (run again), 1 (run demo); "
        "the newest is shown, --run NAME or a number chooses\n"
    )
    assert eat("show", "k1", "--json").err == ""


@pytest.mark.parametrize("words", [("k1", "--run", "demo"), ("1",), ("j1",)])
def test_a_document_that_is_named_fully_needs_no_choice(twice: Settings, eat: Eat, words: tuple[str, ...]) -> None:
    done = eat("show", *words)
    assert (done.code, done.err) == (0, "")


def test_an_id_that_very_many_have_is_not_listed_in_full(finished: Settings, eat: Eat) -> None:
    with open_store(finished.database) as store:
        korean = store.reading.dossier(1).document
        new = [replace(korean, text=f"글 {number}", gold=None) for number in range(30)]
        store.runs.add_documents(store.runs.get_run("demo").id, new)
    said = eat("show", "k1").err
    assert said.startswith("more than 10 documents have the id 'k1': 34 (run demo), 33 (run demo), ")
    assert "25 (run demo), ...; the newest is shown" in said


def test_export_writes_what_was_found_in_the_order_of_the_corpus(finished: Settings, eat: Eat) -> None:
    done = eat("export", "demo")
    assert done.code == 0
    korean, arabic = [json.loads(line) for line in done.out.splitlines()]
    assert (korean["id"], korean["lang"], arabic["lang"]) == ("k1", "ko", "ar")
    for record in (korean, arabic):
        assert (record["run"], record["fingerprint"], record["skipped"]) == ("demo", "f" * 64, None)
        for entity in record["entities"]:
            assert record["text"][entity["start"] : entity["end"]] == entity["words"]
    assert [entity["tag"] for entity in korean["entities"]] == ["LOC"]
    assert [line["outcome"] for line in korean["ledger"]] == ["exact", "not_in_translation"]
    assert done.err == "not in it: 1 queued, 1 failed; see: eat status demo\n"
    assert (eat("export", "demo", "--json").out, eat("export", "demo", "-q").err) == (done.out, "")


def test_an_export_can_be_submitted_as_gold(finished: Settings, eat: Eat, tmp_path: Path) -> None:
    assert eat("export", "demo", "-o", "found.jsonl").err.startswith("2 records of run demo are in found.jsonl\n")
    with read_documents(tmp_path / "found.jsonl", lang=None, dataset=None) as read:
        documents = list(read)
    exported = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text(encoding="utf-8").splitlines()]
    for document, record in zip(documents, exported, strict=True):
        assert isinstance(document, Document)
        assert document.gold is not None
        assert [(gold.start, gold.end, gold.tag) for gold in document.gold] == [
            (entity["start"], entity["end"], entity["tag"]) for entity in record["entities"]
        ]


def test_an_export_has_the_same_bytes_in_a_file_and_on_stdout(
    finished: Settings, clean_environment: None, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["export", "demo", "--state", str(finished.state)]) == 0
    written = capsysbinary.readouterr().out
    assert main(["export", "demo", "-o", "found.jsonl", "--state", str(finished.state)]) == 0
    assert written == (tmp_path / "found.jsonl").read_bytes()
    assert written.count(b"\n") == 2


def test_what_a_format_cannot_say_is_counted(
    finished: Settings, eat: Eat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def write(records: Records, folder: Path, written: Written) -> None:
        for number, record in enumerate(records):
            (folder / f"{number}.txt").write_text(record["text"], encoding="utf-8")
            written.records += 1
            written.snapped += len(record["entities"])
            written.dropped["nested entities"] += 1

    monkeypatch.setattr("eat_worker.corpora.exports.jsonl.FORMAT", ExportFormat("tokens", to_folder=write))
    assert eat("export", "demo").err == "eat: jsonl needs a folder: --output DIR; see: eat export --help\n"
    assert eat("export", "demo", "-o", "found").err.splitlines()[:3] == [
        "2 records of run demo are in found",
        "2 entities were moved to the borders the format knows",
        "2 left out: nested entities",
    ]
    assert sorted(file.name for file in (tmp_path / "found").iterdir()) == ["0.txt", "1.txt"]


def test_an_export_that_breaks_off_leaves_the_older_file(
    finished: Settings, eat: Eat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "found.jsonl"
    target.write_text("older")
    assert eat("export", "other", "-o", "found.jsonl").code == 4
    assert eat("export", "demo", "-o", ".").code == 2

    def away(*_: object) -> object:
        raise StoreUnavailable("the database went away")

    monkeypatch.setattr(Reading, "_ledgers", away)
    assert eat("export", "demo", "-o", "found.jsonl").code == 69
    assert target.read_text() == "older"
    assert not list(tmp_path.glob("*.partial"))
