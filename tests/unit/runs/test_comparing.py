"""`eat compare`: two runs on the same documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from eat_worker.errors import NotFound
from eat_worker.jobs.document.scoring import score
from eat_worker.method.document import Alignment, Document, EnglishEntity, GoldEntity, Outcome, Span, Stage
from eat_worker.runs.comparing import compare
from eat_worker.settings import Settings
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.values import RunSpec, Scores, StageResult

Eat = Callable[..., Any]
LENGTH = 12


def spec(name: str, rounds: int) -> RunSpec:
    from eat_worker.method.config import MethodConfig

    queues = {"forward": "chat.f"}
    return RunSpec(name, "ko", "news", MethodConfig(rounds=rounds), name * 64, {"engine": "scripted"}, queues)


def done(store: Store, document_id: int, document: Document, *, right: bool) -> None:
    lines = []
    for place, gold in enumerate(document.gold or ()):
        span = Span(gold.start, gold.end) if right else None
        outcome = Outcome.EXACT if right else Outcome.NOT_FOUND
        lines.append(Alignment(EnglishEntity(place, "Seoul", gold.tag, Span(0, 5)), outcome, span))
    finish(store, document_id, score(document, lines, None))


def finish(store: Store, document_id: int, scores: Scores) -> None:
    claim = store.queue.claim(document_id, Stage.FORWARD, "w", 60)
    assert claim is not None
    store.queue.commit_stage(claim, StageResult(scores=scores), Stage.DONE, keep=False, lease_seconds=60)


@pytest.fixture
def compared(settings: Settings) -> Settings:
    """Runs a and b of the same 12 documents: a has all entities of the first nine, b of the last four; a one more."""
    documents = [Document(f"서울 {number}", "ko", gold=(GoldEntity(0, 2, "LOC"),)) for number in range(LENGTH)]
    with open_store(settings.database, create=True) as store:
        for first, (name, rounds) in zip((1, LENGTH + 2), (("a", 3), ("b", 1)), strict=True):
            run = store.runs.add_run(spec(name, rounds))
            extra = [Document("부산", "ko", gold=())] if name == "a" else []
            store.runs.add_documents(run.id, [*documents, *extra])
            for number, document in enumerate([*documents, *extra]):
                right = number < 9 if name == "a" else number >= 8
                done(store, first + number, document, right=right)
    return settings


def test_the_difference_has_an_interval_and_two_p_values(compared: Settings) -> None:
    found = compare(compared, "a", "b")
    assert (found.found.documents, found.found.only_first, found.found.only_second) == (12, 1, 0)
    rows = {(row.scorer, row.type): row for row in found.rows}
    assert list(rows) == [
        (scorer, tag)
        for scorer in ("token_strict", "official", "span", "span_lenient", "span_partial")
        for tag in (("all", "LOC", "ORG", "PER") if scorer == "official" else ("all", "LOC"))
        if not (scorer == "official" and tag in ("ORG", "PER"))
    ]
    span = rows["span", "all"].found
    assert (span.first, span.second) == (pytest.approx(18 / 21), 0.5)
    assert span.low < span.delta < span.high
    assert 0.01 < span.p_value < 0.5
    assert 0.01 < span.p_randomisation < 0.5


def test_settings_that_differ_are_named(compared: Settings) -> None:
    settings = compare(compared, "a", "b").settings
    assert settings["rounds"] == (3, 1)
    assert settings["fingerprint"] == ("a" * 64, "b" * 64)
    assert "matcher" not in settings


def test_sentences_that_flipped_are_counted_and_listed(compared: Settings) -> None:
    found = compare(compared, "a", "b", flipped=5).found
    assert found.flips == (8, 3)
    assert len(found.flipped) == 5
    first = found.flipped[0]
    assert (first.first, first.second, first.text) == (1, LENGTH + 2, "서울 0")
    assert (first.wrong_in_first, first.wrong_in_second) == (0, 1)


def test_a_run_does_not_differ_from_itself(compared: Settings) -> None:
    found = compare(compared, "a", "a")
    assert {(row.found.delta, row.found.p_value, row.found.p_randomisation) for row in found.rows} == {(0.0, 1.0, 1.0)}
    assert found.found.flips == (0, 0)
    assert found.settings == {}


def test_lenient_is_left_out_where_one_run_was_scored_without_it(settings: Settings) -> None:
    document = Document("서울", "ko", gold=(GoldEntity(0, 2, "LOC"),))
    with open_store(settings.database, create=True) as store:
        for number, name in ((1, "a"), (2, "b")):
            store.runs.add_documents(store.runs.add_run(spec(name, 3)).id, [document])
            old = Scores(strict=(1, 0, 0), span=(1, 0, 0), per_tag={"strict/LOC": (1, 0, 0), "span/LOC": (1, 0, 0)})
            finish(store, number, replace(old))
    assert {row.scorer for row in compare(settings, "a", "b").rows} == {"token_strict", "span"}


def test_runs_without_a_common_document_cannot_be_compared(compared: Settings) -> None:
    with open_store(compared.database) as store:
        store.runs.add_documents(store.runs.add_run(spec("c", 3)).id, [Document("다른 글", "ko")])
    with pytest.raises(NotFound, match="no document with gold that is the same in both"):
        compare(compared, "a", "c")


def test_the_command_shows_both_runs_and_what_flipped(compared: Settings, eat: Eat) -> None:
    out = eat("compare", "a", "b", "--flipped", "2").out
    assert out.startswith("first: a\nsecond: b\n")
    assert "rounds: 3 / 1\n" in out
    assert "12 documents in both; 1 scored only in the first, 0 only in the second\n" in out
    assert "8 sentences are wholly right only in the first, 3 only in the second\n" in out
    assert out.splitlines()[-1].split()[-2:] == ["서울", "1"]
    assert eat("compare", "a", "nobody").code == 4


def test_the_command_as_json(compared: Settings, eat: Eat) -> None:
    found = json.loads(eat("compare", "a", "b", "--json").out)
    assert (found["first"], found["second"], found["documents"]) == ("a", "b", 12)
    assert found["flips"] == {"first": 8, "second": 3}
    row = next(row for row in found["rows"] if (row["scorer"], row["type"]) == ("span", "all"))
    assert (row["first"], row["second"], row["delta"]) == (85.7143, 50.0, 35.7143)
    assert found["flipped"][0]["text"] == "서울 0"
    assert found["settings"]["rounds"] == [3, 1]
