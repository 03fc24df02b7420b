"""Hints, claims and leases, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from eat_worker.errors import LeaseLost, StoreUnavailable
from eat_worker.method.document import Stage
from eat_worker.storage.claims import Claims
from eat_worker.storage.leases import MAX_EXPIRIES
from eat_worker.storage.store import Store
from eat_worker.storage.values import Hint, StageResult


def ids(hints: list[Hint]) -> list[int]:
    return [hint.document_id for hint in hints]


def test_a_hint_names_document_stage_attempt_and_queue(scene: Any) -> None:
    scene.run(documents=1)
    assert scene.store.queue.take_hints(10, window=10, stale_after=60) == [Hint(1, Stage.FORWARD, 0, "gpu")]


def test_hints_are_given_once_until_they_are_stale(scene: Any) -> None:
    scene.run(documents=2)
    assert ids(scene.store.queue.take_hints(10, window=10, stale_after=60)) == [1, 2]
    assert ids(scene.store.queue.take_hints(10, window=10, stale_after=60)) == []
    scene.sql("UPDATE documents SET hinted_at = hinted_at - 61 WHERE id = 2")
    assert ids(scene.store.queue.take_hints(10, window=10, stale_after=60)) == [2]


def test_no_more_hints_are_out_than_the_window_holds(scene: Any) -> None:
    scene.run(documents=9)
    assert ids(scene.store.queue.take_hints(2, window=3, stale_after=60)) == [1, 2]
    assert ids(scene.store.queue.take_hints(2, window=3, stale_after=60)) == [3]
    assert ids(scene.store.queue.take_hints(2, window=3, stale_after=60)) == []
    scene.claim(document_id=2)
    assert ids(scene.store.queue.take_hints(2, window=3, stale_after=60)) == [4]


def test_a_queue_that_nobody_serves_does_not_hold_up_the_others(scene: Any) -> None:
    scene.run(documents=4)
    for document_id in (1, 2):
        claim = scene.claim(document_id=document_id)
        scene.store.queue.commit_stage(claim, StageResult(english="Kim"), Stage.EXTRACT, keep=False, lease_seconds=60)
    hints = scene.store.queue.take_hints(10, window=2, stale_after=60)
    assert [(hint.document_id, hint.queue) for hint in hints] == [(1, "cpu"), (2, "cpu"), (3, "gpu"), (4, "gpu")]


def test_started_documents_come_before_new_ones(scene: Any) -> None:
    scene.run(documents=3)
    claim = scene.claim(document_id=3)
    scene.store.queue.commit_stage(claim, StageResult(english="Kim"), Stage.EXTRACT, keep=False, lease_seconds=60)
    assert [(h.document_id, str(h.stage)) for h in scene.store.queue.take_hints(10, window=10, stale_after=60)] == [
        (3, "extract"),
        (1, "forward"),
        (2, "forward"),
    ]


def test_a_document_that_is_not_due_is_neither_hinted_nor_claimed(scene: Any) -> None:
    scene.run()
    scene.store.queue.fail(scene.claim(), "engine", "down", retryable=True, max_faults=3, not_before_seconds=60)
    assert scene.store.queue.take_hints(10, window=10, stale_after=60) == []
    assert scene.store.queue.claim(1, Stage.FORWARD, "w1", 60) is None
    scene.sql("UPDATE documents SET not_before = not_before - 61")
    assert ids(scene.store.queue.take_hints(10, window=10, stale_after=60)) == [1]
    assert scene.claim().attempt == 2


@pytest.mark.parametrize("state", ["paused", "cancelled"])
def test_a_run_that_is_not_open_gives_no_work(scene: Any, state: str) -> None:
    scene.run()
    scene.sql("UPDATE runs SET state = :state", state=state)
    assert scene.store.queue.take_hints(10, window=10, stale_after=60) == []
    assert scene.store.queue.claim(1, Stage.FORWARD, "w1", 60) is None
    assert scene.store.queue.claim_next({"gpu", "cpu"}, "w1", 60) is None


def test_a_claim_holds_what_the_stage_needs(scene: Any) -> None:
    run = scene.run()
    claim = scene.claim()
    assert (claim.document_id, claim.run_id, claim.stage, claim.attempt) == (1, run.id, Stage.FORWARD, 1)
    assert (claim.worker, claim.document.text, claim.document.ext_id) == ("w1", "김철수 0", "k0")
    assert (claim.document.dataset, claim.document.gold[0].tag) == ("klue", "PER")
    assert (claim.config, claim.queues) == (run.spec.config, run.spec.queues)
    assert (claim.english, claim.english_entities, claim.alignments, claim.rounds) == (None, (), (), ())


def test_a_document_is_claimed_once(scene: Any) -> None:
    scene.run()
    scene.claim("w1")
    assert scene.store.queue.claim(1, Stage.FORWARD, "w2", 60) is None


def test_a_hint_for_a_stage_that_is_past_is_refused(scene: Any) -> None:
    scene.run()
    scene.store.queue.commit_stage(
        scene.claim(), StageResult(english="Kim"), Stage.EXTRACT, keep=False, lease_seconds=60
    )
    assert scene.store.queue.claim(1, Stage.FORWARD, "w1", 60) is None


def test_an_unknown_document_is_not_claimed(scene: Any) -> None:
    scene.run()
    assert scene.store.queue.claim(77, Stage.FORWARD, "w1", 60) is None


def test_an_expired_lease_goes_back_to_the_queue_with_its_attempt_ended(scene: Any) -> None:
    scene.run()
    scene.claim("w1")
    scene.expire()
    assert scene.store.queue.take_hints(10, window=10, stale_after=60) == [Hint(1, Stage.FORWARD, 1, "gpu")]
    (attempt,) = scene.store.reading.dossier(1).attempts
    assert (attempt.worker, attempt.outcome, attempt.ended_at is not None) == ("w1", "expired", True)


def test_the_leases_of_a_dead_worker_can_be_ended_at_once(scene: Any) -> None:
    scene.run(documents=3)
    mine, other = scene.claim("dead"), scene.claim("alive", document_id=2)
    assert sorted(scene.store.operating.lease_owners()) == ["alive", "dead"]
    assert scene.store.operating.expire_leases("dead") == 1
    assert mine.document_id in ids(scene.store.queue.take_hints(10, window=10, stale_after=60))
    with pytest.raises(LeaseLost):
        scene.store.queue.commit_stage(mine, StageResult(english="Kim"), Stage.EXTRACT, keep=False, lease_seconds=60)
    assert scene.store.queue.heartbeat([other.lease], 60) == []


def test_an_expired_lease_is_claimed_once_it_was_taken_back_and_not_before(scene: Any) -> None:
    scene.run()
    scene.claim("w1")
    scene.expire()
    assert scene.store.queue.claim(1, Stage.FORWARD, "w2", 60) is None
    scene.lose()
    assert scene.claim("w2").attempt == 2
    assert [(a.worker, a.outcome) for a in scene.store.reading.dossier(1).attempts] == [("w1", "expired"), ("w2", None)]


def test_a_document_that_kills_every_worker_is_given_up(scene: Any) -> None:
    scene.run()
    for number in range(MAX_EXPIRIES):
        assert ids(scene.store.queue.take_hints(10, window=10, stale_after=60)) == [1], number
        scene.claim(f"w{number}")
        scene.expire()
    assert scene.store.queue.take_hints(10, window=10, stale_after=60) == []
    found = scene.store.reading.dossier(1)
    assert (found.status, found.error_code, found.run.state) == ("failed", "poison", "complete")
    assert scene.sql("SELECT kind, document_id FROM events") == [("poison", 1)]


def test_what_two_dead_workers_had_in_hand_is_tried_alone(scene: Any) -> None:
    scene.run(documents=4)
    for _ in range(2):
        for document_id in (1, 2):
            scene.claim("dead", document_id)
        for document_id in (1, 2):
            scene.expire(document_id)
        scene.store.queue.take_hints(10, window=10, stale_after=60)
    assert scene.store.queue.claim_next({"gpu"}, "w1", 60).document_id == 1
    assert scene.store.queue.claim(2, Stage.FORWARD, "w1", 60) is None
    assert scene.store.queue.claim_next({"gpu"}, "w1", 60).document_id == 3  # one that killed nobody may join
    assert scene.store.queue.claim(2, Stage.FORWARD, "w2", 60) is not None
    assert scene.store.queue.claim_next({"gpu"}, "w2", 60).document_id == 4


def test_a_commit_clears_the_count_of_dead_workers(scene: Any) -> None:
    scene.run()
    scene.claim("w1")
    scene.lose()
    scene.store.queue.commit_stage(
        scene.claim("w2"), StageResult(english="K"), Stage.EXTRACT, keep=False, lease_seconds=60
    )
    assert scene.sql("SELECT expiries FROM documents") == [(0,)]


def test_a_heartbeat_extends_leases_and_names_the_lost_ones(scene: Any) -> None:
    scene.run(documents=3)
    one, two, three = (scene.claim("w1", document_id).lease for document_id in (1, 2, 3))
    scene.lose(2)
    scene.claim("w2", 2)
    absent = replace(one, document_id=99)
    before = dict(scene.sql("SELECT id, lease_until FROM documents"))
    assert scene.store.queue.heartbeat([three, one, two, absent], 600) == [two, absent]
    after = dict(scene.sql("SELECT id, lease_until FROM documents"))
    assert after[1] - before[1] > 500
    assert after[2] == before[2]
    assert after[3] - before[3] > 500


def test_a_heartbeat_keeps_no_later_attempt_of_the_same_worker(scene: Any) -> None:
    """A commit went through, its answer was lost: whoever still holds the old lease must not keep the new one alive."""
    scene.run()
    claim = scene.claim()
    scene.store.queue.commit_stage(claim, StageResult(english="Kim"), Stage.EXTRACT, keep=True, lease_seconds=60)
    before = scene.sql("SELECT lease_until FROM documents")
    assert scene.store.queue.heartbeat([claim.lease], 600) == [claim.lease]
    assert scene.sql("SELECT lease_until FROM documents") == before


def test_without_a_broker_the_next_document_is_claimed_directly(scene: Any) -> None:
    scene.run(documents=2)
    first = scene.store.queue.claim_next({"gpu"}, "w1", 60)
    second = scene.store.queue.claim_next({"gpu"}, "w1", 60)
    assert (first.document_id, second.document_id) == (1, 2)
    assert scene.store.queue.claim_next({"gpu"}, "w1", 60) is None
    scene.expire(1)
    assert scene.store.queue.claim_next({"gpu"}, "w1", 60).attempt == 2


def test_a_worker_takes_only_what_its_queues_hold(scene: Any) -> None:
    scene.run()
    assert scene.store.queue.claim_next({"cpu"}, "w1", 60) is None
    scene.store.queue.commit_stage(
        scene.claim(), StageResult(english="Kim"), Stage.EXTRACT, keep=False, lease_seconds=60
    )
    assert scene.store.queue.claim_next({"gpu"}, "w1", 60) is None
    assert scene.store.queue.claim_next({"cpu"}, "w1", 60).stage is Stage.EXTRACT


def test_a_stage_without_a_queue_goes_where_the_run_began(scene: Any) -> None:
    scene.run(method="direct")
    scene.store.queue.commit_stage(
        scene.claim(stage=Stage.DIRECT), StageResult(), Stage.SCORE, keep=False, lease_seconds=60
    )
    assert scene.store.queue.take_hints(10, window=10, stale_after=60) == [Hint(1, Stage.SCORE, 1, "gpu")]


def test_the_first_claim_is_when_a_run_started(scene: Any) -> None:
    run = scene.run(documents=2)
    assert scene.store.reading.run_status(run.id)[0].first_started_at is None
    scene.claim(document_id=1)
    started = scene.store.reading.run_status(run.id)[0].first_started_at
    scene.claim(document_id=2)
    assert started is not None
    assert scene.store.reading.run_status(run.id)[0].first_started_at == started


def test_a_run_whose_first_claim_was_not_committed_still_starts_and_ends(
    scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scene.run()
    with monkeypatch.context() as refused:
        refused.setattr(Claims, "_spec", _away)
        with pytest.raises(StoreUnavailable):
            scene.claim()
    claim = scene.claim()
    scene.store.queue.commit_stage(
        claim, StageResult(skipped="skipped_short"), Stage.DONE, keep=False, lease_seconds=60
    )
    assert scene.store.runs.get_run(run.id).state == "complete"


def _away(*_arguments: Any) -> None:
    raise StoreUnavailable("the connection was lost")


def test_of_many_threads_that_claim_one_document_exactly_one_wins(scene: Any) -> None:
    scene.run(documents=20)
    winners: list[tuple[int, str]] = []
    gate = threading.Barrier(4)

    def compete(worker: str) -> None:
        for document_id in range(1, 21):
            gate.wait(timeout=20)
            claim = scene.store.queue.claim(document_id, Stage.FORWARD, worker, 60)
            if claim is not None:
                winners.append((claim.document_id, claim.worker))

    threads = [threading.Thread(target=compete, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(document_id for document_id, _ in winners) == list(range(1, 21))


def test_two_stores_that_take_hints_at_once_give_none_twice(scene: Any, store_url: str) -> None:
    scene.run(documents=60)
    taken: list[int] = []

    def dispatch() -> None:
        with Store(type(scene.store.database)(store_url)) as other:
            for _ in range(10):
                taken.extend(ids(other.queue.take_hints(7, window=50, stale_after=60)))

    threads = [threading.Thread(target=dispatch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 51))


def test_workers_that_end_the_last_documents_at_once_complete_the_run(scene: Any) -> None:
    run = scene.run(documents=12)
    claims = [scene.claim(f"w{number}", number) for number in range(1, 13)]
    gate = threading.Barrier(len(claims))

    def end(claim: Any) -> None:
        gate.wait(timeout=20)
        scene.store.queue.commit_stage(claim, StageResult(), Stage.DONE, keep=False, lease_seconds=60)

    threads = [threading.Thread(target=end, args=(claim,)) for claim in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scene.store.runs.get_run(run.id).state == "complete"


def test_a_zombie_cannot_write_anything(scene: Any) -> None:
    scene.run()
    zombie = scene.claim("w1")
    scene.lose()
    scene.claim("w2")
    with pytest.raises(LeaseLost, match=r"document 1 is no longer held by w1 \(attempt 1, forward\)"):
        scene.store.queue.add_round(zombie, scene.round())
    with pytest.raises(LeaseLost):
        scene.store.queue.commit_stage(zombie, StageResult(english="Z"), Stage.EXTRACT, keep=True, lease_seconds=60)
    with pytest.raises(LeaseLost):
        scene.store.queue.fail(zombie, "engine", "late", retryable=False, max_faults=1, not_before_seconds=0)
    scene.store.queue.release(zombie, reason="stopping")
    found = scene.store.reading.dossier(1)
    assert (found.status, found.stage, found.english, found.rounds) == ("running", Stage.FORWARD, None, ())


def test_the_same_worker_is_fenced_from_its_own_older_attempt(scene: Any) -> None:
    scene.run()
    old = scene.claim("w1")
    scene.lose()
    new = scene.claim("w1")
    with pytest.raises(LeaseLost):
        scene.store.queue.add_round(old, scene.round())
    scene.store.queue.add_round(new, scene.round())
    assert len(scene.store.reading.dossier(1).rounds) == 1
