from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from eat_worker.method.document import (
    ALIGNED,
    TAGS,
    Alignment,
    Document,
    EnglishEntity,
    Outcome,
    RoundOutput,
    Span,
    Stage,
)


def test_the_tags_are_those_of_the_paper() -> None:
    assert TAGS == ("PER", "LOC", "ORG")


def test_exactly_four_outcomes_have_a_span() -> None:
    assert {str(outcome) for outcome in ALIGNED} == {"exact", "normalised", "inflected", "partial"}
    assert {str(outcome) for outcome in Outcome} - {str(outcome) for outcome in ALIGNED} == {
        "not_found",
        "ambiguous",
        "too_long",
        "refused",
        "unsure",
        "outvoted",
        "truncated",
        "empty",
        "not_in_translation",
        "repeated",
        "not_a_name",
        "unknown_tag",
        "parse_error",
    }


def test_stages_are_written_as_their_names() -> None:
    assert [f"{stage}" for stage in Stage] == [
        "direct",
        "forward",
        "extract",
        "backward",
        "back_translation",
        "score",
        "done",
    ]


def test_a_document_without_gold_differs_from_one_without_entities() -> None:
    assert Document("서울", "ko").gold is None
    assert Document("서울", "ko") != Document("서울", "ko", gold=())
    assert Document("서울", "ko").meta == {}


def test_values_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Span(0, 1).start = 2  # type: ignore[misc]  # that this is refused is what is tested


def test_what_is_not_said_of_an_alignment_is_unset() -> None:
    entity = EnglishEntity(0, "Seoul", "LOC")
    assert (entity.span, entity.unusable) == (None, None)
    line = Alignment(entity, Outcome.REFUSED)
    assert (line.span, line.via, line.answer, line.confidence) == (None, "", "", None)


def test_a_round_output_is_finished_unless_it_says_otherwise() -> None:
    output = RoundOutput(Stage.FORWARD, -1, 1, "id", {}, "answer")
    assert (output.finish_reason, output.batch_size, output.logprob, output.flags) == ("stop", 1, None, ())
