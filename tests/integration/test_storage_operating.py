"""What an operator does, and what a broken engine or an outage leaves behind, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from eat_worker.errors import EatError, LeaseLost, NotFound, StoreUnavailable
from eat_worker.jobs.broker import dispatcher
from eat_worker.method.document import Alignment, EnglishEntity, Outcome, Span, Stage
from eat_worker.storage import leases, operating
from eat_worker.storage.store import open_store
from eat_worker.storage.values import Hint, Lease, StageResult

KIM = EnglishEntity(0, "Kim", "PER", Span(0, 3))


def ids(hints: list[Hint]) -> list[int]:
    return [hint.document_id for hint in hints]


def take(scene: Any) -> list[int]:
    return ids(scene.store.queue.take_hints(10, window=10, stale_after=60))


def fail(scene: Any, document_id: int = 1, code: str = "engine") -> None:
    claim = scene.claim(document_id=document_id)
    scene.store.queue.fail(claim, code, "no answer", retryable=False, max_faults=1, not_before_seconds=0)


def events(scene: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = scene.sql("SELECT run_id, kind, detail_json FROM events ORDER BY id")
    return found


def test_a_run_of_higher_priority_comes_first_whatever_its_stage(scene: Any) -> None:
    scene.run(documents=2, name="old")
    claim = scene.claim(document_id=2)
    scene.store.queue.commit_stage(claim, StageResult(english="Kim"), Stage.EXTRACT, keep=False, lease_seconds=60)
    urgent = scene.run(documents=1, name="urgent")
    scene.run(documents=1, name="late")
    assert (urgent.priority, scene.store.operating.set_priority("urgent", 5).priority) == (0, 5)
    scene.store.operating.set_priority("late", -1)
    assert take(scene) == [3, 2, 1, 4]
    claimed = [scene.store.queue.claim_next({"gpu", "cpu"}, "w1", 60).document_id for _ in range(4)]
    assert claimed == [3, 2, 1, 4]
    assert events(scene) == [
        (2, "priority", '{"priority":5,"before":0}'),
        (3, "priority", '{"priority":-1,"before":0}'),
    ]


def test_the_same_priority_again_is_no_event(scene: Any) -> None:
    scene.run()
    assert scene.store.operating.set_priority("news", 0).priority == 0
    assert events(scene) == []
    with pytest.raises(NotFound):
        scene.store.operating.set_priority("other", 1)


def test_a_paused_run_waits_and_goes_on(scene: Any) -> None:
    scene.run(documents=2)
    claim = scene.claim()
    assert scene.store.operating.pause_run("news").state == "paused"
    assert scene.store.operating.pause_run("news").state == "paused"
    assert (take(scene), scene.store.queue.claim_next({"gpu"}, "w1", 60)) == ([], None)
    # Whoever holds a document hears it with the next round it writes.
    assert scene.store.queue.add_round(claim, scene.round()) == "paused"
    scene.store.queue.release(claim, reason="the run is paused")
    assert scene.status() == "queued"
    assert scene.store.operating.resume_run("news").state == "open"
    assert scene.store.operating.resume_run("news").state == "open"
    assert take(scene) == [1, 2]
    assert scene.store.queue.add_round(scene.claim(), scene.round(2)) == "open"
    assert scene.sql("SELECT faults, retries, expiries, breaks FROM documents WHERE id = 1") == [(0, 0, 0, 0)]
    assert events(scene) == [(1, "paused", '{"before":"open"}'), (1, "open", '{"before":"paused"}')]


def test_hints_of_a_paused_run_take_no_place_from_others_and_are_given_anew(scene: Any) -> None:
    scene.run(documents=3)
    scene.run(documents=3, name="other")
    assert ids(scene.store.queue.take_hints(10, window=3, stale_after=60)) == [1, 2, 3]
    scene.store.operating.pause_run("news")
    assert ids(scene.store.queue.take_hints(10, window=3, stale_after=60)) == [4, 5, 6]
    scene.store.operating.resume_run("news")
    assert ids(scene.store.queue.take_hints(10, window=6, stale_after=60)) == [1, 2, 3]


def test_a_run_whose_last_document_ended_while_it_was_paused_is_complete_when_resumed(scene: Any) -> None:
    scene.run()
    claim = scene.claim()
    scene.store.operating.pause_run("news")
    scene.store.queue.commit_stage(claim, StageResult(), Stage.DONE, keep=False, lease_seconds=60)
    assert scene.store.runs.get_run("news").state == "paused"
    assert scene.store.operating.resume_run("news").state == "complete"


def test_a_cancelled_run_ends_every_document_that_has_not_ended(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operating, "BATCH", 2)
    scene.run(documents=6)
    scene.store.queue.commit_stage(scene.claim(), StageResult(), Stage.DONE, keep=False, lease_seconds=60)
    fail(scene, 2)
    held = scene.claim(document_id=3)
    run, cancelled = scene.store.operating.cancel_run("news")
    assert (run.state, cancelled) == ("cancelled", 4)
    assert [scene.status(number) for number in range(1, 7)] == ["done", "failed", *["cancelled"] * 4]
    with pytest.raises(LeaseLost):
        scene.store.queue.add_round(held, scene.round())
    assert [(one.outcome, one.ended_at is None) for one in scene.store.reading.dossier(3).attempts] == [
        ("cancelled", False)
    ]
    assert (take(scene), scene.store.reading.count_unfinished([run.id])) == ([], 0)
    assert scene.sql("SELECT finished_at FROM runs")[0][0] is not None
    # Broken off in the middle, the same again ends the rest.
    scene.sql("UPDATE documents SET status = 'queued' WHERE id = 6")
    assert scene.store.operating.cancel_run("news")[1] == 1


def test_a_lease_that_runs_out_in_a_cancelled_run_does_not_bring_the_document_back(scene: Any) -> None:
    scene.run()
    scene.claim()
    scene.sql("UPDATE runs SET state = 'cancelled'")
    scene.expire()
    assert take(scene) == []
    assert (scene.status(), scene.store.reading.dossier(1).attempts[0].outcome) == ("cancelled", "expired")


def test_what_has_ended_cannot_be_steered(scene: Any) -> None:
    run = scene.run()
    scene.store.queue.commit_stage(scene.claim(), StageResult(), Stage.DONE, keep=False, lease_seconds=60)
    for steer in (scene.store.operating.pause_run, scene.store.operating.resume_run, scene.store.operating.cancel_run):
        with pytest.raises(EatError, match="run news is complete: it cannot become"):
            steer("news")
    scene.run(name="other")
    scene.store.operating.cancel_run("other")
    for steer in (scene.store.operating.pause_run, scene.store.operating.resume_run):
        with pytest.raises(EatError, match="run other is cancelled: it cannot become"):
            steer("other")
    with pytest.raises(EatError, match="run other is cancelled; give the documents another one"):
        scene.store.runs.add_documents(scene.store.runs.get_run("other").id, [scene.document(9)])
    assert scene.store.runs.get_run(run.id).state == "complete"


def test_a_document_locked_for_long_is_told(scene: Any, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if scene.store.database.is_sqlite:
        pytest.skip("SQLite has one writer")
    monkeypatch.setattr(operating, "LOCKED_SECONDS", 0.01)
    monkeypatch.setattr(operating, "LOCKED_TRIES", 3)
    scene.run(documents=2)
    with open_store(store_url) as other, other.database.write() as transaction:
        from sqlalchemy import text

        transaction.rows(text("SELECT id FROM documents WHERE id = 1 FOR UPDATE"))
        with pytest.raises(
            StoreUnavailable, match="a worker has locked 1 documents of news; run the same command again"
        ):
            scene.store.operating.cancel_run("news")
        assert scene.status(2) == "cancelled"
    assert scene.store.operating.cancel_run("news")[1] == 1


def test_workers_and_a_cancel_at_once_leave_nothing_behind(scene: Any) -> None:
    run = scene.run(documents=40)
    gate, failures = threading.Barrier(5), []

    def work(worker: str) -> None:
        gate.wait(timeout=20)
        try:
            while claim := scene.store.queue.claim_next({"gpu", "cpu"}, worker, 60):
                scene.store.queue.add_round(claim, scene.round())
                scene.store.queue.commit_stage(claim, StageResult(), Stage.DONE, keep=False, lease_seconds=60)
        except LeaseLost:
            pass
        except Exception as error:  # noqa: BLE001 - told by the main thread below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    gate.wait(timeout=20)
    with suppress(EatError):  # the workers were quicker, and the run is complete
        scene.store.operating.cancel_run("news")
    for thread in threads:
        thread.join()
    assert failures == []
    (status,) = scene.store.reading.run_status(run.id)
    assert status.documents["done"] + status.documents["cancelled"] == 40


def test_a_document_in_whose_hands_the_engine_broke_is_tried_alone_and_then_poison(scene: Any) -> None:
    scene.run(documents=3)
    first, other = scene.claim(document_id=1), scene.claim(document_id=2)
    assert scene.store.queue.break_off(first, reason="illegal address") == "queued"
    assert scene.store.queue.break_off(other, reason="illegal address") == "queued"
    assert [one.outcome for one in scene.store.reading.dossier(1).attempts] == ["engine_broken"]
    alone = scene.store.queue.claim_next({"gpu"}, "w2", 60)
    assert (alone.document_id, scene.store.queue.claim(2, Stage.FORWARD, "w2", 60)) == (1, None)
    assert scene.store.queue.claim_next({"gpu"}, "w2", 60).document_id == 3  # one that broke nothing may join
    assert scene.store.queue.claim(2, Stage.FORWARD, "w3", 60) is not None
    assert scene.store.queue.break_off(alone, reason="illegal address") == "failed"
    found = scene.store.reading.dossier(1)
    assert (found.status, found.error_code) == ("failed", "poison")
    assert scene.sql("SELECT kind, detail_json FROM events") == [("poison", '{"stage":"forward","attempt":2}')]
    with pytest.raises(LeaseLost):
        scene.store.queue.break_off(alone, reason="late")


def test_a_commit_clears_the_breaks_and_the_retries(scene: Any) -> None:
    scene.run()
    scene.store.queue.break_off(scene.claim(), reason="x")
    claim = scene.claim()
    scene.store.queue.fail(claim, "engine_unavailable", "away", retryable=True, max_faults=3, not_before_seconds=0)
    claim = scene.claim()
    assert (claim.retries, claim.faults) == (1, 0)
    kept = scene.store.queue.commit_stage(claim, StageResult(english="K"), Stage.EXTRACT, keep=True, lease_seconds=60)
    assert kept.retries == 0
    assert scene.sql("SELECT breaks, retries FROM documents") == [(0, 0)]


def test_a_claim_counts_the_faults_so_far(scene: Any) -> None:
    scene.run()
    for expected in range(3):
        claim = scene.claim()
        assert claim.faults == expected
        scene.store.queue.fail(claim, "engine", "no", retryable=False, max_faults=9, not_before_seconds=0)


def test_rounds_may_be_written_with_nothing_but_the_lease(scene: Any) -> None:
    scene.run()
    claim = scene.claim()
    assert claim.lease == Lease(1, Stage.FORWARD, 1, "w1")
    assert scene.store.queue.add_rounds(claim.lease, [scene.round()]) == "open"
    scene.store.queue.release(claim.lease, reason="restored")
    assert (scene.status(), len(scene.store.reading.dossier(1).rounds)) == ("queued", 1)
    with pytest.raises(LeaseLost):
        scene.store.queue.add_rounds(claim.lease, [scene.round(2)])


def test_after_an_outage_the_living_extend_their_leases_before_any_is_taken_back(
    scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.run()
    lease = scene.claim("w1").lease
    scene.expire()  # nobody could extend it
    monkeypatch.setattr(scene.store.database, "seconds_since_failure", lambda: 19.9)
    assert take(scene) == []
    assert scene.store.queue.heartbeat([lease], 60) == []
    scene.expire()
    monkeypatch.setattr(scene.store.database, "seconds_since_failure", lambda: 20.1)
    assert leases.GRACE_SECONDS == 20.0
    assert take(scene) == [1]


def test_a_dispatcher_whose_last_pause_outlasted_the_outage_gives_the_living_time_all_the_same(
    scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.run()
    scene.claim("w1")
    scene.expire()
    # It asked in vain, paused, and asks again when the database has just come back.
    monkeypatch.setattr(scene.store.database, "seconds_since_failure", lambda: dispatcher.RETRY.longest + 4)
    assert take(scene) == []


def test_an_outage_is_remembered_by_whoever_met_it(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    database = scene.store.database
    with pytest.raises(EatError):
        scene.sql("SELECT * FROM absent")  # no outage: the database is there
    assert database.seconds_since_failure() == float("inf")

    def away() -> None:
        raise database.engine.dialect.loaded_dbapi.OperationalError("gone")

    monkeypatch.setattr(database.engine, "raw_connection", away)
    with pytest.raises(StoreUnavailable):
        scene.store.runs.list_runs()
    assert database.seconds_since_failure() < 5


def test_dead_letters_are_listed_by_run_and_shown(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eat_worker.storage.operating.BATCH", 2)
    scene.run(documents=4)
    for number in (1, 3, 4):
        fail(scene, number, "too_long")
    scene.run(documents=1, name="other")
    fail(scene, 5)
    listed = list(scene.store.operating.iter_dead())
    assert [(one.document_id, one.run, one.code) for one in listed] == [
        (1, "news", "too_long"),
        (3, "news", "too_long"),
        (4, "news", "too_long"),
        (5, "other", "engine"),
    ]
    assert [one.document_id for one in scene.store.operating.iter_dead("oth")] == [5]
    letter = scene.store.operating.get_dead(3)
    assert letter == listed[1]
    assert (letter.document.ext_id, letter.stage, letter.attempts, letter.error) == (
        "k2",
        Stage.FORWARD,
        1,
        "no answer",
    )
    assert letter.finished_at > 0
    for wrong in (2, 99):
        with pytest.raises(NotFound, match=f"document {wrong} has not failed, or there is none; see: eat dead list"):
            scene.store.operating.get_dead(wrong)
    with pytest.raises(NotFound):
        list(scene.store.operating.iter_dead("absent"))


def test_a_failed_document_is_opened_again_with_its_history(scene: Any) -> None:
    run = scene.run(documents=2)
    scene.store.queue.commit_stage(scene.claim(document_id=2), StageResult(), Stage.DONE, keep=False, lease_seconds=60)
    claim = scene.claim()
    scene.store.queue.add_round(claim, scene.round())
    scene.store.queue.fail(claim, "engine", "no answer", retryable=False, max_faults=1, not_before_seconds=0)
    assert scene.store.runs.get_run(run.id).state == "complete"
    assert scene.store.operating.reopen_failed("news") == 1
    found = scene.store.reading.dossier(1)
    assert (found.status, found.error_code, found.error, found.run.state) == ("queued", None, None, "open")
    assert [one.outcome for one in found.attempts] == ["failed"]
    again = scene.claim()
    assert (again.attempt, again.faults, len(again.rounds)) == (2, 0, 1)
    counts = "faults, expiries, retries, breaks, finished_at, round_count"
    assert scene.sql(f"SELECT {counts} FROM documents WHERE id = 1") == [(0, 0, 0, 0, None, None)]
    assert events(scene)[-1] == (1, "reopened", '{"documents":1}')
    assert scene.store.operating.reopen_failed("news") == 0


def test_single_documents_are_opened_again_all_or_none(scene: Any) -> None:
    scene.run(documents=3)
    for number in (1, 2):
        fail(scene, number)
    with pytest.raises(NotFound, match="document 3 has not failed"):
        scene.store.operating.reopen([1, 3])
    assert scene.status(1) == "failed"
    assert scene.store.operating.reopen([2, 2]) == 1
    assert [scene.status(number) for number in (1, 2)] == ["failed", "queued"]
    scene.store.operating.cancel_run("news")
    with pytest.raises(EatError, match="the run is cancelled; with --set NAME=VALUE its documents go into another one"):
        scene.store.operating.reopen([1])


def test_documents_come_out_as_they_were_submitted(scene: Any) -> None:
    run = scene.run(documents=4)
    fail(scene, 2)
    for number, outcome in ((1, Outcome.EXACT), (3, Outcome.NOT_FOUND)):
        claim = scene.claim(document_id=number)
        span = Span(0, 3) if outcome is Outcome.EXACT else None
        result = StageResult(alignments=(Alignment(KIM, outcome, span),))
        scene.store.queue.commit_stage(claim, result, Stage.DONE, keep=False, lease_seconds=60)
    stored = [replace(scene.document(number), dataset="klue") for number in range(4)]
    assert list(scene.store.operating.iter_failed_texts(run.id)) == [stored[1]]
    assert list(scene.store.operating.iter_texts_by_outcome(run.id, "not_found")) == [stored[2]]
    assert list(scene.store.operating.iter_texts_by_outcome(run.id, "unsure")) == []
