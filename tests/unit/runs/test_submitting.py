"""Submitting: what is stored, what is refused, and that doing it again adds nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eat_worker.errors import ConfigurationError, CorpusError, ModelMissing
from eat_worker.runs.progress import status
from eat_worker.runs.submitting import run_spec, submit
from eat_worker.settings import Settings
from eat_worker.storage.store import open_store


def test_documents_are_queued_and_refused_records_set_aside(scripted: Settings, corpus: Path) -> None:
    seen: list[int] = []
    done = submit(scripted, corpus, on_progress=seen.append)
    assert (done.new, done.already, done.rejected) == (3, 0, {"E_TEXT_MISSING": 1})
    assert seen == [4]
    assert done.quarantine is not None
    assert Path(done.quarantine).parent == scripted.state / "quarantine"
    assert Path(done.quarantine).name.startswith(f"{done.run}.")
    (row,) = [json.loads(line) for line in Path(done.quarantine).read_text().splitlines()]
    assert (row["line"], row["code"]) == (3, "E_TEXT_MISSING")
    (run,) = status(scripted)
    assert (run.run, run.state, run.documents["queued"], run.total) == (done.run, "open", 3, 3)


def test_the_same_file_again_adds_nothing_to_the_same_run(scripted: Settings, corpus: Path) -> None:
    first, again = submit(scripted, corpus), submit(scripted, corpus)
    assert again.run == first.run
    assert (again.new, again.already, again.left) == (0, 3, 3)
    assert again.quarantine == first.quarantine
    assert len(status(scripted)) == 1


def test_other_settings_make_another_run(scripted: Settings, corpus: Path) -> None:
    names = {
        submit(scripted, corpus).run,
        submit(replace(scripted, rounds=1), corpus).run,
        submit(scripted, corpus, lang="ko").run,
        submit(scripted, corpus, dataset="mine").run,
        submit(replace(scripted, prompts="official"), corpus).run,
    }
    assert len(names) == 5
    assert all(name.startswith("corpus-") for name in names)


def test_a_named_run_refuses_other_settings(scripted: Settings, corpus: Path) -> None:
    assert submit(scripted, corpus, name="mine").run == "mine"
    with pytest.raises(ConfigurationError, match="rounds is 3 there and 1 here"):
        submit(replace(scripted, rounds=1), corpus, name="mine")


@pytest.mark.parametrize("name", ["a/b", "../x", ".hidden", "", "a b", "x" * 101])
def test_a_name_that_cannot_name_a_file_is_refused(scripted: Settings, corpus: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="a run's name has"):
        submit(scripted, corpus, name=name)


@pytest.mark.parametrize(
    ("path", "lang", "begin"),
    [
        ("data/klue.dev.jsonl", "ko", "klue.dev-ko-"),
        ("klue.jsonl.gz", None, "klue-"),
        ("-", "ar", "stdin-ar-"),
        ("corpus", None, "corpus-"),
        ("über uns!.jsonl", None, "über-uns-"),
    ],
)
def test_a_run_is_called_after_file_language_and_settings(
    scripted: Settings, path: str, lang: str | None, begin: str
) -> None:
    name = run_spec(scripted, Path(path), lang=lang, dataset=None).name
    assert name.startswith(begin)
    assert len(name) == len(begin) + 6


@pytest.mark.parametrize(("content", "error"), [(None, "there is no file"), ("", "no records"), ("\n\n", "no records")])
def test_a_file_without_records_makes_no_run(
    scripted: Settings, tmp_path: Path, content: str | None, error: str
) -> None:
    file = tmp_path / "f.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(CorpusError, match=error):
        submit(scripted, file)
    assert not scripted.state.exists()


def test_an_unknown_language_stores_nothing(scripted: Settings, corpus: Path) -> None:
    with pytest.raises(ConfigurationError, match="unknown language code 'jp'"):
        submit(scripted, corpus, lang="jp")
    assert not scripted.state.exists()


def test_without_weights_nothing_is_stored(scripted: Settings, corpus: Path) -> None:
    with pytest.raises(ModelMissing, match="run: eat model pull"):
        submit(replace(scripted, engine="llamacpp"), corpus)
    assert not scripted.state.exists()


def test_limit_counts_documents(scripted: Settings, corpus: Path) -> None:
    assert submit(scripted, corpus, limit=1).new == 1


def test_gold_that_has_no_tag_here_is_counted(scripted: Settings, tmp_path: Path) -> None:
    file = tmp_path / "bio.tsv"
    file.write_text("Oslo\tB-LOC\nEvent\tI-MISC\n\n")
    done = submit(scripted, file, lang="no", format="bio")
    assert (done.new, dict(done.dropped), done.repaired) == (1, {"MISC": 1}, 1)


def test_the_frozen_settings_are_stored(scripted: Settings, corpus: Path) -> None:
    done = submit(replace(scripted, rounds=5, matcher="official"), corpus)
    with open_store(scripted.database) as store:
        spec = store.runs.get_run(done.run).spec
    assert (spec.config.rounds, spec.config.matcher) == (5, "official")
    assert spec.model["engine"] == "scripted"
    assert len(spec.fingerprint) == 64
