"""The text-to-text extractor, served. That it learns is shown in test_fine_tuning.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from eat_worker.engines.extractors.flan_t5 import FlanT5, question
from eat_worker.method.document import EnglishEntity, Outcome, Span

TEXTS = ["Ann Lee left.", "", "Oslo is cold and no one came", "  "]


def test_the_question_holds_task_tags_and_sentence() -> None:
    assert question("Ann left.") == "Extract the entities (PER, LOC, ORG) as (TYPE, entity): Ann left."


def test_a_batch_says_what_each_text_alone_says(tiny_t5: Path) -> None:
    extractor = FlanT5(tiny_t5, "0" * 64, batch=4)
    together = extractor.extract(TEXTS)
    assert together == [extractor.extract([text])[0] for text in TEXTS]
    assert together[1] == together[3] == ()
    extractor.close()


def test_answers_are_read_as_the_paper_writes_them(tiny_t5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = FlanT5(tiny_t5, "0" * 64)
    monkeypatch.setattr(extractor, "_answers", lambda texts: ["(LOC, Oslo) (PER, Bo)" for _ in texts])
    assert extractor.extract(["Oslo is cold"]) == [
        (
            EnglishEntity(0, "Oslo", "LOC", Span(0, 4)),
            EnglishEntity(1, "Bo", "PER", unusable=Outcome.NOT_IN_TRANSLATION),
        )
    ]
    assert extractor.info.kind == "flan_t5"
