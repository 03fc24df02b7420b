"""Reviews of documents, on each kind of database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eat_worker.method.document import GoldEntity
from eat_worker.storage.reviews import ReviewOutcome
from eat_worker.storage.values import Review

FIRST = Review("kim", "first pass", (GoldEntity(0, 3, "PER"),))
SECOND = Review("lee", "second pass", ())
ADDED, ALREADY = ReviewOutcome.ADDED, ReviewOutcome.ALREADY
UNKNOWN, TEXT_DIFFERS = ReviewOutcome.UNKNOWN, ReviewOutcome.TEXT_DIFFERS


def test_a_review_finds_its_document_by_id_and_text_once(scene: Any) -> None:
    run = scene.run(documents=0)
    documents = [replace(scene.document(number), ext_id=f"d{number}" if number else None) for number in range(3)]
    scene.store.runs.add_documents(run.id, documents)
    scene.sql("UPDATE documents SET status = 'done' WHERE id <> 3")
    texts = [document.text for document in documents]
    given = [
        (None, texts[0], FIRST),
        ("d1", texts[1], FIRST),
        ("d1", texts[1], SECOND),
        ("d1", texts[1], FIRST),
        ("d1", texts[0], FIRST),
        ("d2", texts[2], FIRST),
        (None, texts[1], FIRST),
    ]
    found = scene.store.runs.add_reviews(run.id, given)
    assert found == [ADDED, ADDED, ADDED, ALREADY, TEXT_DIFFERS, UNKNOWN, UNKNOWN]
    assert scene.store.runs.add_reviews(run.id, given[:3]) == [ALREADY] * 3
    assert scene.store.runs.add_reviews(run.id + 1, given[:2]) == [UNKNOWN] * 2
    newest = [annotated.review for annotated in scene.store.reading.iter_annotations(run.id)]
    assert [(one.author, one.reason, one.entities) for one in newest] == [
        ("kim", "first pass", FIRST.entities),
        ("lee", "second pass", ()),
    ]
    assert [one.author for one in scene.store.reading.dossier("d1").reviews] == ["kim", "lee"]
    assert scene.sql("SELECT count(*) FROM entities") == [(0,)]
