from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eat_worker.method.annotate import annotate
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Document, Outcome, Span, Stage

TEXT = Document("김민지는 서울에 갔다", "ko")
ANSWERS = {
    Stage.FORWARD: ["서울 = Seoul (LOC)", "Kim went to Seoul.", "Kim Min-ji went to Seoul."],
    Stage.EXTRACT: ["(PER, Kim Min-ji) (LOC, Seoul) (LOC, Busan)"],
    Stage.BACKWARD: ["김민지"],
    Stage.BACK_TRANSLATION: ["names", "draft", "김민지가 서울에 갔다."],
}


def test_the_whole_method_on_one_sentence(table: Callable[..., Any]) -> None:
    ask = table(ANSWERS)
    found = annotate(TEXT, ask, MethodConfig(), session="7")
    assert ask.is_spent
    assert found.english == "Kim Min-ji went to Seoul."
    assert [(one.mention, one.tag) for one in found.english_entities] == [
        ("Kim Min-ji", "PER"),
        ("Seoul", "LOC"),
        ("Busan", "LOC"),
    ]
    assert [(line.outcome, line.span, line.via) for line in found.alignments] == [
        (Outcome.EXACT, Span(0, 3), "constrained"),
        (Outcome.EXACT, Span(5, 7), "list"),
        (Outcome.NOT_IN_TRANSLATION, None, ""),
    ]
    assert found.back_translation == "김민지가 서울에 갔다."
    assert found.skipped is None
    assert [(str(one.stage), one.entity, one.round) for one in found.rounds] == [
        ("forward", -1, 1),
        ("forward", -1, 2),
        ("forward", -1, 3),
        ("extract", -1, 1),
        ("backward", 0, 1),
        ("back_translation", -1, 1),
        ("back_translation", -1, 2),
        ("back_translation", -1, 3),
    ]


def test_a_name_said_too_often_stands_in_the_ledger_and_is_not_asked_about(table: Callable[..., Any]) -> None:
    ask = table({**ANSWERS, Stage.EXTRACT: ["(LOC, Seoul) (LOC, Seoul)"], Stage.BACKWARD: []})
    found = annotate(TEXT, ask, MethodConfig(), session="7")
    assert [(line.english.mention, line.outcome, line.span) for line in found.alignments] == [
        ("Seoul", Outcome.EXACT, Span(5, 7)),
        ("Seoul", Outcome.REPEATED, None),
    ]


def test_the_back_translation_can_be_left_out(table: Callable[..., Any]) -> None:
    ask = table({**ANSWERS, Stage.BACK_TRANSLATION: []})
    found = annotate(TEXT, ask, MethodConfig(back_translation=False), session="7")
    assert found.back_translation is None
    assert len(found.rounds) == 5


def test_the_direct_method_asks_one_question(table: Callable[..., Any]) -> None:
    ask = table({Stage.DIRECT: ["(PER, 김민지) (LOC, 서울)"]})
    found = annotate(TEXT, ask, MethodConfig(method="direct"), session="7")
    assert [line.span for line in found.alignments] == [Span(0, 3), Span(5, 7)]
    assert (found.english, found.english_entities, found.back_translation) == (None, (), None)
    assert len(found.rounds) == 1


@pytest.mark.parametrize("method", ["eat", "direct"])
@pytest.mark.parametrize("text", ["", "a", " 가 ", "\n"])
def test_a_sentence_of_one_character_is_not_sent_to_the_model(
    table: Callable[..., Any], method: str, text: str
) -> None:
    found = annotate(Document(text, "ko"), table({}), MethodConfig(method=method), session="7")
    assert found.skipped == "skipped_short"
    assert (found.rounds, found.alignments) == ((), ())


def test_what_is_recorded_is_not_asked_again(table: Callable[..., Any]) -> None:
    whole = annotate(TEXT, table(ANSWERS), MethodConfig(), session="7")
    again = annotate(TEXT, table({}), MethodConfig(), session="7", recorded=whole.rounds)
    assert again == whole
