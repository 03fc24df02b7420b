"""Runs and documents going in, and everything that is read back, on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from eat_worker.errors import ConfigurationError, CorpusError, NotFound
from eat_worker.method.document import Alignment, Document, EnglishEntity, GoldEntity, Outcome, Span, Stage
from eat_worker.storage import runs
from eat_worker.storage.values import Added, Scores, StageResult


def test_a_run_is_added_once(scene: Any) -> None:
    first = scene.store.runs.add_run(scene.spec())
    again = scene.store.runs.add_run(scene.spec())
    assert again == first
    assert (first.id, first.state, first.spec) == (1, "open", scene.spec())


def test_weights_in_another_folder_are_the_same_run(scene: Any) -> None:
    first = scene.store.runs.add_run(scene.spec())
    assert scene.store.runs.add_run(replace(scene.spec(), model={"path": "/elsewhere"})) == first


def test_a_run_with_other_settings_says_which_differ(scene: Any) -> None:
    scene.store.runs.add_run(scene.spec())
    # The queues bear the model's name: that they differ too goes without saying.
    other = replace(scene.spec(rounds=5), lang="ja", fingerprint="f2", queues={"forward": "other"})
    with pytest.raises(ConfigurationError) as caught:
        scene.store.runs.add_run(other)
    assert str(caught.value) == (
        "run 'news' exists with other settings: lang is 'ko' there and 'ja' here; model is 'f1' there and 'f2' here; "
        "rounds is 3 there and 5 here; choose another name"
    )


def test_a_run_is_found_by_name_number_and_beginning(scene: Any) -> None:
    news = scene.store.runs.add_run(scene.spec("news-1"))
    other = scene.store.runs.add_run(scene.spec("News_%"))
    assert scene.store.runs.get_run("news-1") == news
    assert scene.store.runs.get_run(news.id) == news
    assert scene.store.runs.get_run("2") == other
    assert scene.store.runs.get_run("new") == news
    assert scene.store.runs.get_run("News_") == other
    assert scene.store.runs.list_runs() == [news, other]


@pytest.mark.parametrize("name", ["absent", "", "77", "²", 77, "%", "n_"])
def test_an_unknown_run_is_not_found(scene: Any, name: str | int) -> None:
    scene.store.runs.add_run(scene.spec())
    with pytest.raises(NotFound, match="no run"):
        scene.store.runs.get_run(name)


def test_an_ambiguous_beginning_names_the_candidates(scene: Any) -> None:
    scene.store.runs.add_run(scene.spec("news-1"))
    scene.store.runs.add_run(scene.spec("news-2"))
    with pytest.raises(NotFound, match="'news' begins the names of 2 runs: news-1, news-2"):
        scene.store.runs.get_run("news")


def test_a_file_submitted_again_adds_nothing(scene: Any) -> None:
    run = scene.run(documents=0)
    documents = [scene.document(number) for number in range(5)]
    assert scene.store.runs.add_documents(run.id, documents, batch=2) == Added(new=5, already=0)
    assert scene.store.runs.add_documents(run.id, [*documents, scene.document(9)], batch=2) == Added(new=1, already=5)


def test_the_same_record_twice_in_a_batch_is_one_document(scene: Any) -> None:
    run = scene.run(documents=0)
    assert scene.store.runs.add_documents(run.id, [scene.document(1), scene.document(1)]) == Added(new=1, already=1)


def test_two_runs_hold_their_own_documents(scene: Any) -> None:
    scene.run(documents=2, name="a")
    run = scene.run(documents=2, name="b", rounds=1)
    assert scene.store.reading.run_status(run.id)[0].documents["queued"] == 2


def test_a_document_comes_back_as_it_was_given(scene: Any) -> None:
    run = scene.run(documents=0)
    given = Document(
        "서울 😀\u2028 '%s' :x {y}",
        "ko",
        ext_id="a/1",
        dataset="other",
        gold=(),
        meta={"신문": [1, 2.5, None, {"x": True}]},
    )
    scene.store.runs.add_documents(run.id, [given])
    assert scene.store.reading.dossier("a/1").document == given


def test_a_record_without_gold_differs_from_one_without_entities(scene: Any) -> None:
    run = scene.run(documents=0)
    scene.store.runs.add_documents(run.id, [Document("서울", "ko", ext_id="x"), Document("부산", "ko", gold=())])
    assert (scene.store.reading.dossier(1).document.gold, scene.store.reading.dossier(2).document.gold) == (None, ())
    assert scene.store.reading.dossier(1).document.dataset == "klue"


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_a_text_that_cannot_be_stored_is_an_error_and_not_changed(scene: Any, text: str) -> None:
    run = scene.run(documents=0)
    with pytest.raises(CorpusError, match="x7"):
        scene.store.runs.add_documents(run.id, [Document(text, "ko", ext_id="x7")])


def test_batches_before_an_error_are_kept(scene: Any) -> None:
    run = scene.run(documents=0)

    def broken() -> Any:
        yield from (scene.document(number) for number in range(5))
        raise CorpusError("news.jsonl:6: cut off")

    with pytest.raises(CorpusError, match=r"news\.jsonl:6"):
        scene.store.runs.add_documents(run.id, broken(), batch=2)
    assert scene.store.reading.count_unfinished([run.id]) == 4


def test_many_new_documents_refresh_what_the_planner_knows(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MANY", 50)
    run = scene.run(documents=60)
    assert scene.store.reading.count_unfinished([run.id]) == 60
    if not scene.store.database.is_sqlite:
        assert scene.sql("SELECT reltuples FROM pg_class WHERE relname = 'documents'") == [(60.0,)]


def test_documents_of_an_unknown_run_are_refused(scene: Any) -> None:
    with pytest.raises(NotFound):
        scene.store.runs.add_documents(7, [scene.document(1)])


def end(scene: Any, document_id: int, **result: Any) -> None:
    claim = scene.store.queue.claim(document_id, Stage.FORWARD, "w1", 60)
    scene.store.queue.commit_stage(claim, StageResult(**result), Stage.DONE, keep=False, lease_seconds=60)


def test_a_complete_run_opens_again_for_new_documents(scene: Any) -> None:
    run = scene.run(documents=1)
    end(scene, 1)
    assert scene.store.runs.get_run(run.id).state == "complete"
    scene.store.runs.add_documents(run.id, [scene.document(0)])
    assert scene.store.runs.get_run(run.id).state == "complete"
    scene.store.runs.add_documents(run.id, [scene.document(1)])
    found = scene.store.runs.get_run(run.id)
    assert (found.state, found.finished_at) == ("open", None)


def test_a_run_without_documents_is_not_complete(scene: Any) -> None:
    run = scene.run(documents=0)
    assert scene.store.queue.take_hints(1, window=1, stale_after=60) == []
    assert scene.store.runs.get_run(run.id).state == "open"


def test_status_counts_documents_and_failures(scene: Any) -> None:
    run = scene.run(documents=5)
    end(scene, 1)
    end(scene, 2, skipped="skipped_short")
    claim = scene.claim(document_id=3)
    scene.store.queue.add_round(claim, scene.round())
    scene.store.queue.fail(claim, "too_long", "", retryable=False, max_faults=1, not_before_seconds=0)
    scene.claim(document_id=4)
    (status,) = scene.store.reading.run_status()
    assert status.run == run
    assert status.documents == {"queued": 1, "running": 1, "done": 1, "skipped": 1, "failed": 1, "cancelled": 0}
    assert status.failures == {"too_long": 1}
    assert (status.rounds, status.seconds_generating, status.generated_tokens) == (1, 0.5, 4)
    assert status.last_finished_at is not None
    assert scene.store.reading.run_status(run.id) == [status]
    assert scene.store.reading.count_unfinished([run.id]) == 2
    assert scene.store.reading.count_unfinished([]) == 0
    scene.store.queue.add_round(scene.claim(document_id=5), scene.round())
    assert scene.store.reading.count_rounds([run.id]) == 2
    assert scene.store.reading.count_rounds([]) == 0


def test_status_of_an_unknown_run_is_not_found(scene: Any) -> None:
    with pytest.raises(NotFound):
        scene.store.reading.run_status(7)


def test_instants_are_seconds_since_the_epoch(scene: Any) -> None:
    import time

    assert abs(scene.run().created_at - time.time()) < 60


def test_a_dossier_is_found_by_number_id_and_run(scene: Any) -> None:
    run = scene.run(documents=0)
    scene.store.runs.add_documents(run.id, [Document("가", "ko", ext_id="2"), Document("나", "ko", ext_id="b")])
    scene.run(documents=0, name="later", rounds=1)
    scene.store.runs.add_documents(2, [Document("다", "ko", ext_id="b")])
    assert scene.store.reading.dossier(2).document.text == "나"
    assert scene.store.reading.dossier("2").document.text == "가"  # an id of the corpus comes before a number
    assert scene.store.reading.dossier("3").document.text == "다"
    assert scene.store.reading.dossier("b").document.text == "다"  # the newest
    assert scene.store.reading.dossier("b", run="news").document.text == "나"
    assert scene.store.reading.dossier(2, run="news").document.text == "나"


@pytest.mark.parametrize("name", ["absent", 9, "9", "9" * 40, 10**30])
def test_an_unknown_document_is_not_found(scene: Any, name: str | int) -> None:
    scene.run()
    with pytest.raises(NotFound, match="no document"):
        scene.store.reading.dossier(name)


def test_a_document_of_another_run_is_not_found_in_this_one(scene: Any) -> None:
    scene.run(documents=1)
    scene.run(documents=0, name="later", rounds=1)
    with pytest.raises(NotFound, match="no document 1 in run 'later'"):
        scene.store.reading.dossier(1, run="later")


def test_texts_and_annotations_come_page_by_page(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = scene.run(documents=0)
    other = scene.run(documents=0, name="other", rounds=1)
    for number in range(7):  # the two runs lie mixed
        scene.store.runs.add_documents(run.id, [scene.document(number)])
        scene.store.runs.add_documents(other.id, [scene.document(number)])
    kim = EnglishEntity(0, "Kim", "PER")
    for document_id in range(1, 14, 2):
        line = Alignment(kim, Outcome.EXACT, Span(0, 3), via="list", answer=str(document_id))
        end(scene, document_id, english="Kim", alignments=(line,), back_translation=f"김 {document_id}")
    expected = [(f"김철수 {number}", f"김 {number * 2 + 1}") for number in range(7)]
    assert list(scene.store.reading.iter_texts(run.id, "klue", "ko")) == expected
    assert list(scene.store.reading.iter_texts(run.id, "klue", "ja")) == []
    assert list(scene.store.reading.iter_texts(other.id, "klue", "ko")) == []
    found = list(scene.store.reading.iter_annotations(run.id))
    assert [(a.document.text, a.skipped, a.english, a.alignments[0].answer) for a in found] == [
        (f"김철수 {number}", None, "Kim", str(number * 2 + 1)) for number in range(7)
    ]
    assert list(scene.store.reading.iter_annotations(99)) == []


def test_pages_join_without_a_gap(scene: Any) -> None:
    run = scene.run(documents=1203)
    scene.sql("UPDATE documents SET status = 'done', stage = 'done', back_translation = 'x', finished_at = 1")
    assert [text for text, _ in scene.store.reading.iter_texts(run.id, "klue", "ko")] == [
        f"김철수 {n}" for n in range(1203)
    ]
    assert len(list(scene.store.reading.iter_annotations(run.id))) == 1203


def scored(scene: Any, document_id: int, scores: Scores, *outcomes: Outcome) -> None:
    entities = [EnglishEntity(index, "Kim", "PER") for index in range(len(outcomes))]
    lines = [Alignment(entity, outcome) for entity, outcome in zip(entities, outcomes, strict=True)]
    claim = scene.claim(document_id=document_id)
    scene.store.queue.add_round(claim, scene.round())
    result = StageResult(alignments=lines, scores=scores)
    scene.store.queue.commit_stage(claim, result, Stage.DONE, keep=False, lease_seconds=60)


def test_sums_hold_what_a_report_is_made_of(scene: Any) -> None:
    run = scene.run(documents=5)
    stats = (1, 1, 0, 0, 2, 2, 1, 0, 3, 4)
    full = Scores((1, 0, 1), (2, 0, 0), (1, 1, 1), {"strict/PER": (1, 0, 1)}, 20.0, "tok:ko", stats, entropy_loss=0.5)
    scored(scene, 1, full, Outcome.EXACT, Outcome.PARTIAL)
    scored(scene, 2, replace(full, bleu=40.0, entropy_loss=None), Outcome.EXACT)
    scored(scene, 3, replace(full, strict=(0, 0, 1), per_tag={"strict/PER": (0, 0, 1), "span/LOC": (2, 0, 0)}))
    scored(scene, 4, Scores())
    (sums,) = scene.store.reading.score_sums()
    assert (sums.run.id, sums.dataset, sums.lang, sums.documents) == (run.id, "klue", "ko", 4)
    assert sums.strict_rows == ((1, 0, 0, 1), (2, 1, 0, 1))
    assert sums.official_rows == ((3, 2, 0, 0),)
    assert sums.span_rows == ((3, 1, 1, 1),)
    assert sums.tag_sums == {"span/LOC": (2, 0, 0), "strict/PER": (2, 0, 3)}
    assert sums.bleu_mean == pytest.approx(80 / 3)
    assert (sums.bleu_documents, sums.bleu_signature) == (3, "tok:ko")
    assert sums.bleu_stats == (3, 3, 0, 0, 6, 6, 3, 0, 9, 12)
    assert (sums.entropy_loss_mean, sums.entropy_loss_documents) == (0.5, 2)
    assert sums.outcomes == {"exact": 2, "partial": 1}
    assert sums.statuses == {"done": 4, "queued": 1}
    assert (sums.seconds, sums.prompt_tokens, sums.cached_tokens, sums.generated_tokens) == (2.0, 80, 32, 16)


def test_sums_are_undefined_where_no_document_has_them(scene: Any) -> None:
    scene.run()
    scored(scene, 1, Scores())
    (sums,) = scene.store.reading.score_sums()
    assert (sums.documents, sums.strict_rows, sums.tag_sums) == (1, (), {})
    assert (sums.bleu_mean, sums.bleu_stats, sums.bleu_signature, sums.entropy_loss_mean) == (None, None, None, None)


def test_two_signatures_in_one_group_are_both_told(scene: Any) -> None:
    scene.run(documents=2)
    scored(scene, 1, Scores(bleu=1.0, bleu_signature="b"))
    scored(scene, 2, Scores(bleu=1.0, bleu_signature="a"))
    assert scene.store.reading.score_sums()[0].bleu_signature == "a + b"


def test_sums_are_told_apart_by_run_dataset_and_language(scene: Any) -> None:
    first = scene.run(documents=0)
    second = scene.run(documents=0, name="second", rounds=1)
    gold = (GoldEntity(0, 1, "PER"),)
    records = [Document("가", "ko", gold=gold), Document("あ", "ja", dataset="stockmark", gold=gold)]
    scene.store.runs.add_documents(first.id, records)
    scene.store.runs.add_documents(second.id, records[:1])
    for document_id in (1, 2, 3):
        scored(scene, document_id, Scores(strict=(document_id, 0, 0)))
    found = [(s.run.spec.name, s.dataset, s.lang, s.strict_rows) for s in scene.store.reading.score_sums()]
    assert found == [
        ("news", "klue", "ko", ((1, 1, 0, 0),)),
        ("news", "stockmark", "ja", ((1, 2, 0, 0),)),
        ("second", "klue", "ko", ((1, 3, 0, 0),)),
    ]
    assert [s.strict_rows[0][1] for s in scene.store.reading.score_sums(dataset="klue")] == [1, 3]
    assert [s.strict_rows[0][1] for s in scene.store.reading.score_sums(run="news", lang="ja")] == [2]
    assert [s.strict_rows[0][1] for s in scene.store.reading.score_sums(run="second", dataset="klue", lang="ko")] == [3]
    assert scene.store.reading.score_sums(dataset="absent") == []
    with pytest.raises(NotFound):
        scene.store.reading.score_sums(run="absent")


def test_a_document_without_scores_is_in_no_sum(scene: Any) -> None:
    scene.run(documents=1)
    end(scene, 1, skipped="skipped_short")
    assert scene.store.reading.score_sums() == []
