"""Rounds, stage results and faults under a claim, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from eat_worker.errors import ConfigurationError, LeaseLost
from eat_worker.method.document import Alignment, EnglishEntity, Outcome, RoundOutput, Span, Stage
from eat_worker.storage.values import Claim, Scores, StageResult

KIM = EnglishEntity(0, "Kim", "PER", Span(0, 3))
SEOUL = EnglishEntity(1, "Seoul", "LOC", None, Outcome.NOT_IN_TRANSLATION)
ALIGNED = (
    Alignment(KIM, Outcome.EXACT, Span(0, 3), via="list", answer="김철수", confidence=0.75),
    Alignment(SEOUL, Outcome.NOT_IN_TRANSLATION),
)
SCORES = Scores(
    strict=(3, 1, 0),
    official=(2, 0, 1),
    span=(1, 0, 0),
    per_tag={"strict/PER": (3, 1, 0)},
    bleu=41.5,
    bleu_signature="tok:ko-mecab",
    bleu_stats=(5, 4, 3, 2, 6, 5, 4, 3, 6, 7),
    entropy_loss=0.9,
)


def commit(scene: Any, claim: Claim, stage: Stage, *, keep: bool = True, **result: Any) -> Claim | None:
    return scene.store.queue.commit_stage(claim, StageResult(**result), stage, keep=keep, lease_seconds=60)


def test_a_document_kept_by_one_worker_passes_all_its_stages(scene: Any) -> None:
    scene.run()
    claim = commit(scene, scene.claim(), Stage.EXTRACT, english="Kim is in Seoul.")
    claim = commit(scene, claim, Stage.BACKWARD, english_entities=(KIM, SEOUL))
    claim = commit(scene, claim, Stage.BACK_TRANSLATION, alignments=ALIGNED)
    claim = commit(scene, claim, Stage.SCORE, back_translation="김은 서울에 있다.")
    assert claim.attempt == 5
    assert commit(scene, claim, Stage.DONE, scores=SCORES) is None
    found = scene.store.reading.dossier("k0")
    assert (found.status, found.stage, found.run.state) == ("done", Stage.DONE, "complete")
    assert (found.english, found.back_translation) == ("Kim is in Seoul.", "김은 서울에 있다.")
    assert (found.english_entities, found.alignments, found.scores) == ((KIM, SEOUL), ALIGNED, SCORES)
    assert [(attempt.stage, attempt.attempt, attempt.outcome) for attempt in found.attempts] == [
        ("forward", 1, "committed"),
        ("extract", 2, "committed"),
        ("backward", 3, "committed"),
        ("back_translation", 4, "committed"),
        ("score", 5, "committed"),
    ]


def test_a_kept_claim_is_what_reading_it_back_would_give(scene: Any) -> None:
    scene.run()
    kept = commit(scene, scene.claim(), Stage.EXTRACT, english="Kim \x00 \ud800")
    kept = scene.store.queue.commit_stage(
        kept,
        StageResult(english_entities=(KIM, SEOUL)),
        Stage.BACKWARD,
        keep=True,
        lease_seconds=60,
        rounds=(scene.round(2), scene.round(1)),
    )
    kept = commit(scene, kept, Stage.BACK_TRANSLATION, alignments=ALIGNED)
    scene.lose()
    read = scene.store.queue.claim(1, Stage.BACK_TRANSLATION, "w1", 60)
    assert replace(read, attempt=kept.attempt) == kept
    assert (kept.english, [output.round for output in kept.rounds]) == ("Kim � �", [1, 2])


def test_a_kept_claim_of_the_direct_method_knows_its_entities(scene: Any) -> None:
    scene.run(method="direct")
    kept = commit(scene, scene.claim(stage=Stage.DIRECT), Stage.SCORE, alignments=ALIGNED)
    scene.lose()
    read = scene.store.queue.claim(1, Stage.SCORE, "w1", 60)
    assert replace(read, attempt=kept.attempt) == kept
    assert kept.english_entities == (KIM, SEOUL)


def test_a_document_that_is_not_kept_waits_for_any_worker(scene: Any) -> None:
    scene.run()
    scene.store.queue.take_hints(1, window=1, stale_after=60)
    assert commit(scene, scene.claim("w1"), Stage.EXTRACT, keep=False, english="Kim") is None
    (hint,) = scene.store.queue.take_hints(1, window=1, stale_after=60)
    assert (hint.stage, hint.attempt, hint.queue) == (Stage.EXTRACT, 1, "cpu")
    claim = scene.claim("w2", stage=Stage.EXTRACT)
    assert (claim.attempt, claim.english) == (2, "Kim")


def test_a_paused_run_lets_a_stage_end_but_keeps_no_document(scene: Any) -> None:
    scene.run()
    claim = scene.claim()
    scene.sql("UPDATE runs SET state = 'paused'")
    assert commit(scene, claim, Stage.EXTRACT, keep=True, english="Kim") is None
    found = scene.store.reading.dossier(1)
    assert (found.status, found.stage, found.english) == ("queued", Stage.EXTRACT, "Kim")


def test_a_cancelled_document_refuses_its_worker(scene: Any) -> None:
    scene.run()
    claim = scene.claim()
    scene.sql("UPDATE documents SET status = 'cancelled', lease_owner = NULL, lease_until = NULL")
    with pytest.raises(LeaseLost):
        commit(scene, claim, Stage.EXTRACT, english="Kim")


def test_a_stage_is_committed_once(scene: Any) -> None:
    scene.run()
    claim = scene.claim()
    commit(scene, claim, Stage.EXTRACT, english="Kim")
    with pytest.raises(LeaseLost):
        commit(scene, claim, Stage.EXTRACT, english="Lee")
    assert scene.store.reading.dossier(1).english == "Kim"


def test_a_skipped_document_ends_with_its_reason(scene: Any) -> None:
    scene.run()
    assert commit(scene, scene.claim(), Stage.EXTRACT, skipped="skipped_short") is None
    found = scene.store.reading.dossier(1)
    assert (found.status, found.stage, found.error_code) == ("skipped", Stage.DONE, "skipped_short")
    assert scene.store.reading.run_status()[0].failures == {}


def test_rounds_survive_a_crash_before_the_commit(scene: Any) -> None:
    scene.run()
    claim = scene.claim("w1")
    scene.store.queue.add_round(claim, scene.round(1, "think"))
    scene.store.queue.add_round(claim, scene.round(2, "Kim"))
    scene.lose()
    assert [(said.round, said.output) for said in scene.claim("w2").rounds] == [(1, "think"), (2, "Kim")]


def test_a_round_said_again_replaces_the_first(scene: Any) -> None:
    scene.run()
    claim = scene.claim()
    scene.store.queue.add_rounds(claim, (scene.round(1, "first"), scene.round(2, "Kim")))
    scene.store.queue.add_round(claim, scene.round(1, "second"))
    assert [said.output for said in scene.store.reading.dossier(1).rounds] == ["second", "Kim"]


def test_a_round_comes_back_as_it_was_written(scene: Any) -> None:
    scene.run()
    said = RoundOutput(
        Stage.FORWARD,
        -1,
        1,
        "p1",
        {"text": "김{철수} % :x", "translation": "'Kim'"},
        "100 % of 'Kim' \\ \"x\"\n",
        prompt_tokens=20,
        cached_tokens=8,
        generated_tokens=4,
        seconds=0.25,
        finish_reason="length",
        batch_size=3,
        logprob=-1.5,
        flags=("loop", "wrong_script"),
    )
    scene.store.queue.add_round(scene.claim(), said)
    assert scene.store.reading.dossier(1).rounds == (said,)


def test_what_no_database_can_store_is_replaced_in_a_models_answer(scene: Any) -> None:
    scene.run()
    scene.store.queue.add_round(
        scene.claim(), replace(scene.round(1, "a\x00b\ud800c"), variables={"text": "\udfff\x00"})
    )
    (said,) = scene.store.reading.dossier(1).rounds
    assert (said.output, said.variables) == ("a�b�c", {"text": "��"})


def test_a_round_of_an_unknown_prompt_is_refused(scene: Any) -> None:
    scene.run()
    with pytest.raises(ConfigurationError, match="prompt p9 is not registered"):
        scene.store.queue.add_round(scene.claim(), replace(scene.round(), prompt_id="p9"))


def test_new_entities_replace_the_old_ones(scene: Any) -> None:
    scene.run()
    claim = commit(scene, scene.claim(), Stage.EXTRACT)
    commit(scene, claim, Stage.BACKWARD, keep=False, english_entities=(KIM, SEOUL))
    scene.sql("UPDATE documents SET stage = 'extract'")
    commit(scene, scene.claim(stage=Stage.EXTRACT), Stage.BACKWARD, keep=False, english_entities=(KIM,))
    assert scene.store.reading.dossier(1).english_entities == (KIM,)


def test_a_failing_commit_writes_nothing_at_all(scene: Any) -> None:
    scene.run()
    claim = scene.claim()
    with pytest.raises(ConfigurationError):
        scene.store.queue.commit_stage(
            claim,
            StageResult(english="Kim"),
            Stage.EXTRACT,
            keep=True,
            lease_seconds=60,
            rounds=(scene.round(1), replace(scene.round(2), prompt_id="p9")),
        )
    found = scene.store.reading.dossier(1)
    assert (found.stage, found.english, found.rounds, len(found.attempts)) == (Stage.FORWARD, None, (), 1)
    assert commit(scene, claim, Stage.EXTRACT, english="Kim").stage is Stage.EXTRACT


def test_a_released_document_has_lost_nothing(scene: Any) -> None:
    scene.run()
    claim = scene.claim("w1")
    scene.store.queue.add_round(claim, scene.round())
    scene.store.queue.release(claim, reason="SIGTERM")
    assert scene.status() == "queued"
    assert scene.sql("SELECT faults, expiries FROM documents") == [(0, 0)]
    assert [(a.outcome, a.error) for a in scene.store.reading.dossier(1).attempts] == [("released", "SIGTERM")]
    again = scene.claim("w2")
    assert (again.attempt, len(again.rounds)) == (2, 1)


def fail(scene: Any, *, retryable: bool, wait: float = 0) -> str:
    return scene.store.queue.fail(
        scene.claim(),
        "engine",
        "no answer\x00",
        retryable=retryable,
        max_faults=2,
        not_before_seconds=wait,
    )


def test_the_surroundings_may_fail_as_often_as_they_like(scene: Any) -> None:
    scene.run()
    assert [fail(scene, retryable=True) for _ in range(5)] == ["queued"] * 5
    assert scene.sql("SELECT faults FROM documents") == [(0,)]
    assert {attempt.outcome for attempt in scene.store.reading.dossier(1).attempts} == {"retry"}


def test_no_secret_reaches_a_row(scene: Any) -> None:
    scene.run()
    said = "amqp://eat:canary@h//: Authorization: Bearer canary-of-length"
    scene.store.queue.fail(scene.claim(), "error", said, retryable=False, max_faults=1, not_before_seconds=0)
    found = scene.store.reading.dossier("k0")
    assert found.error == "amqp://eat:***@h//: Authorization: Bearer ***"
    assert [attempt.error for attempt in found.attempts] == [f"error: {found.error}"]


def test_a_fault_of_the_document_is_counted_until_it_fails(scene: Any) -> None:
    run = scene.run()
    assert [fail(scene, retryable=False), fail(scene, retryable=False)] == ["queued", "failed"]
    found = scene.store.reading.dossier(1)
    assert (found.status, found.stage, found.error_code, found.error) == (
        "failed",
        Stage.FORWARD,
        "engine",
        "no answer�",
    )
    assert [attempt.outcome for attempt in found.attempts] == ["fault", "failed"]
    assert found.run.state == "complete"
    (status,) = scene.store.reading.run_status(run.id)
    assert (status.documents["failed"], status.failures) == (1, {"engine": 1})
    (letter,) = scene.store.operating.iter_dead("news")
    assert (letter.document_id, letter.document.ext_id, letter.code, letter.attempts) == (1, "k0", "engine", 2)
    assert scene.sql("SELECT kind, detail_json FROM events") == [
        ("failed", '{"code":"engine","stage":"forward","attempt":2}')
    ]


def test_success_clears_the_error_of_an_earlier_try(scene: Any) -> None:
    scene.run()
    fail(scene, retryable=True)
    assert scene.store.reading.dossier(1).error_code == "engine"
    commit(scene, scene.claim(), Stage.EXTRACT, english="Kim")
    assert (scene.store.reading.dossier(1).error_code, scene.store.reading.dossier(1).error) == (None, None)


def test_a_document_that_ends_carries_the_sums_of_its_rounds(scene: Any) -> None:
    scene.run()
    claim = scene.claim()
    scene.store.queue.add_rounds(claim, (scene.round(1), scene.round(2)))
    scene.store.queue.add_round(claim, scene.round(1))
    scene.store.queue.commit_stage(
        claim, StageResult(), Stage.DONE, keep=False, lease_seconds=60, rounds=(scene.round(3),)
    )
    columns = "round_count, round_seconds, prompt_tokens, cached_tokens, generated_tokens"
    assert scene.sql(f"SELECT {columns} FROM documents") == [(3, 1.5, 60, 24, 12)]


class World:
    """A model of the queue: which attempt may write to a document now, and what was committed."""

    def __init__(self, scene: Any, seed: int) -> None:
        self.scene = scene
        self.chance = random.Random(seed)
        self.given: list[Claim] = []  # every claim ever given, the lost ones too
        self.holder: dict[int, int] = {}  # the attempt that may write, by document
        self.expired: set[int] = set()
        self.attempts: dict[int, int] = {}
        self.commits: Counter[tuple[int, str]] = Counter()

    def take_back(self) -> None:
        for document_id in self.expired:
            self.holder.pop(document_id, None)
        self.expired.clear()

    def hold(self, claim: Claim | None) -> None:
        if claim is not None:
            assert claim.document_id not in self.holder
            assert claim.attempt == self.attempts.get(claim.document_id, 0) + 1
            self.attempts[claim.document_id] = self.holder[claim.document_id] = claim.attempt
            self.given.append(claim)

    def claim(self) -> None:
        self.take_back()
        self.hold(self.scene.store.queue.claim_next({"gpu", "cpu"}, self.chance.choice(("w1", "w2")), 60))

    def hint(self) -> None:
        self.take_back()
        for hint in self.scene.store.queue.take_hints(2, window=3, stale_after=60):
            self.hold(self.scene.store.queue.claim(hint.document_id, hint.stage, "w3", 60))

    def expire(self) -> None:
        if self.holder:
            document_id = self.chance.choice(sorted(self.holder))
            self.scene.expire(document_id)
            self.expired.add(document_id)

    def write(self, what: str) -> None:
        """Some worker writes, perhaps one that lost its lease: exactly the holder is let through."""
        if not self.given:
            return
        claim = self.chance.choice(self.given)
        allowed = self.holder.get(claim.document_id) == claim.attempt
        try:
            kept = getattr(self, what)(claim)
        except LeaseLost:
            assert not allowed
            return
        assert allowed
        if what != "add_round":
            del self.holder[claim.document_id]
            self.expired.discard(claim.document_id)
            self.hold(kept)

    def add_round(self, claim: Claim) -> None:
        self.scene.store.queue.add_round(claim, self.scene.round(self.chance.randint(1, 3)))

    def fail(self, claim: Claim) -> None:
        retryable = self.chance.random() < 0.8
        self.scene.store.queue.fail(claim, "x", "x", retryable=retryable, max_faults=3, not_before_seconds=0)

    def release(self, claim: Claim) -> None:
        held = self.holder.get(claim.document_id) == claim.attempt
        self.scene.store.queue.release(claim, reason="x")
        if not held:
            raise LeaseLost  # release says nothing about it; the model must not move either

    def commit(self, claim: Claim) -> Claim | None:
        after = claim.config.stage_after(claim.stage)
        kept = commit(self.scene, claim, after, keep=self.chance.random() < 0.5)
        self.commits[claim.document_id, str(claim.stage)] += 1
        return kept


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_order_every_stage_is_committed_once_and_nothing_is_lost(scene: Any, seed: int) -> None:
    run = scene.run(documents=5)
    world = World(scene, seed)
    actions = ("claim", "claim", "hint", "expire", "add_round", "commit", "commit", "commit", "fail", "release")
    for _ in range(150):
        what = world.chance.choice(actions)
        if what in ("claim", "hint", "expire"):
            getattr(world, what)()
        else:
            world.write(what)
    # The faults stop, and everything ends.
    scene.sql("UPDATE documents SET lease_until = 1 WHERE status = 'running'")
    while (claim := scene.store.queue.claim_next({"gpu", "cpu"}, "w4", 60)) is not None:
        while claim is not None:
            world.commits[claim.document_id, str(claim.stage)] += 1
            claim = commit(scene, claim, claim.config.stage_after(claim.stage))
    assert set(world.commits.values()) == {1}
    (status,) = scene.store.reading.run_status(run.id)
    assert (status.run.state, scene.store.reading.count_unfinished([run.id])) == ("complete", 0)
    assert status.documents["done"] + status.documents["failed"] == 5
    assert scene.sql("SELECT document_id FROM attempts WHERE ended_at IS NULL") == []
    assert scene.sql("SELECT sum(attempt) FROM documents") == scene.sql("SELECT count(*) FROM attempts")
