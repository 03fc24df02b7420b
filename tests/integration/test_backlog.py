"""How much work waits, on each kind of database; and the autoscaler's own query says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eat_worker.method.document import Stage
from eat_worker.storage.backlog import SAMPLE, SECONDS_PER_DOCUMENT
from eat_worker.storage.values import Backlog, StageResult

ROOT = Path(__file__).resolve().parents[2]


def seconds_by_query(scene: Any) -> float:
    yaml = pytest.importorskip("yaml")
    documents = yaml.safe_load_all((ROOT / "deploy" / "k8s" / "scaledobject.yaml").read_text(encoding="utf-8"))
    scaled = next(document for document in documents if document["kind"] == "ScaledObject")
    ((seconds,),) = scene.sql(scaled["spec"]["triggers"][0]["metadata"]["query"])
    return float(seconds)


def finish(scene: Any, document_id: int, *, rounds: int) -> None:
    """The document ends after so many rounds of half a second."""
    claim = scene.claim(document_id=document_id)
    said = [scene.round(number) for number in range(1, rounds + 1)]
    scene.store.queue.commit_stage(
        claim, StageResult(english="x"), Stage.DONE, keep=False, lease_seconds=60, rounds=said
    )


def test_an_empty_database_has_no_backlog(scene: Any) -> None:
    assert scene.store.operating.backlog() == Backlog(0, 0, 0, 0.0, 0.0)
    assert seconds_by_query(scene) == 0


def test_before_anything_has_ended_a_document_takes_what_is_assumed(scene: Any) -> None:
    scene.run(documents=3)
    scene.claim(document_id=2)
    found = scene.store.operating.backlog()
    assert (found.queued, found.running, found.dead_letters) == (2, 1, 0)
    assert found.seconds == 3 * SECONDS_PER_DOCUMENT == 30.0
    assert seconds_by_query(scene) == 30.0


def test_then_it_takes_what_the_others_of_its_run_took(scene: Any) -> None:
    scene.run(documents=5)
    finish(scene, 1, rounds=2)
    finish(scene, 2, rounds=4)
    found = scene.store.operating.backlog()
    assert found.seconds == pytest.approx(3 * 1.5)  # (2 + 4) / 2 rounds of 0.5 s each
    assert seconds_by_query(scene) == pytest.approx(4.5)


def test_paused_runs_need_no_worker_and_dead_letters_stay_in_sight(scene: Any) -> None:
    run = scene.run(documents=2)
    claim = scene.claim(document_id=1)
    scene.store.queue.fail(claim, "too_long", "9,000 tokens", retryable=False, max_faults=1, not_before_seconds=0)
    assert scene.store.operating.backlog().dead_letters == 1
    assert scene.store.operating.backlog().queued == 1
    scene.sql("UPDATE runs SET state = 'paused' WHERE id = :id", id=run.id)
    assert scene.store.operating.backlog() == Backlog(0, 0, 1, 0.0, 0.0)
    assert seconds_by_query(scene) == 0


def test_the_oldest_that_waits_tells_how_long(scene: Any) -> None:
    scene.run(documents=2)
    assert scene.store.operating.backlog().oldest_age_seconds < 60
    scene.sql("UPDATE documents SET created_at = created_at - 3600 WHERE id = 1")
    assert 3600 <= scene.store.operating.backlog().oldest_age_seconds < 3660


def test_the_query_assumes_what_the_program_assumes() -> None:
    text = (ROOT / "deploy" / "k8s" / "scaledobject.yaml").read_text(encoding="utf-8")
    assert f"COALESCE(mean, {SECONDS_PER_DOCUMENT:g})" in text
    assert f"LIMIT {SAMPLE})" in text
