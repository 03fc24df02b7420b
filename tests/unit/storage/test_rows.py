"""What a value looks like in a row, and comes back as."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eat_worker.method.document import Alignment, Document, EnglishEntity, Outcome, RoundOutput, Span, Stage
from eat_worker.storage.rows import (
    ALIGNMENT,
    DOCUMENT,
    ENGLISH_ENTITY,
    ROUND,
    SCORES,
    alignment_row,
    clean,
    document_of,
    english_row,
    in_order,
    ledger_of,
    round_of,
    round_row,
    scores_of,
    scores_row,
)
from eat_worker.storage.values import Scores


@pytest.mark.parametrize(
    ("text", "stored"),
    [("서울 😀", "서울 😀"), ("a\x00b", "a�b"), ("서\ud83d울\udfff\x00", "서�울��"), ("", "")],
)
def test_what_cannot_be_stored_is_replaced_one_for_one(text: str, stored: str) -> None:
    assert clean(text) == stored


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_a_cleaned_text_keeps_its_length_and_can_be_encoded(text: str) -> None:
    assert len(clean(text)) == len(text)
    assert b"\x00" not in clean(text).encode()


def test_a_round_is_spelt_in_plain_columns() -> None:
    said = RoundOutput(Stage.BACKWARD, 2, 3, "p1", {"text": "서울"}, "Seoul", flags=("loop",))
    row = round_row(said)
    assert (row["stage"], row["entity"], row["round"]) == ("backward", 2, 3)
    assert (row["variables_json"], row["flags_json"]) == ('{"text":"서울"}', '["loop"]')
    assert round_of([row[name] for name in ROUND], "p1") == said


def test_rounds_are_told_in_the_order_of_the_method() -> None:
    keys = [(Stage.SCORE, -1, 1), (Stage.BACKWARD, 0, 2), (Stage.BACKWARD, 1, 1), (Stage.FORWARD, -1, 2)]
    outputs = in_order(RoundOutput(stage, entity, number, "p", {}, "") for stage, entity, number in keys)
    assert [(str(o.stage), o.entity, o.round) for o in outputs] == [
        ("forward", -1, 2),
        ("backward", 0, 2),
        ("backward", 1, 1),
        ("score", -1, 1),
    ]


def test_an_entity_without_an_alignment_is_in_no_ledger_yet() -> None:
    kim = EnglishEntity(0, "Kim", "PER", Span(0, 3))
    row = {**dict.fromkeys(ALIGNMENT), **english_row(kim)}
    assert ledger_of([[row[name] for name in (*ENGLISH_ENTITY, *ALIGNMENT)]]) == ((kim,), ())


@pytest.mark.parametrize(
    "alignment",
    [
        Alignment(EnglishEntity(0, "Kim", "PER", Span(0, 3)), Outcome.INFLECTED, Span(0, 2), "free", "김", 0.0),
        Alignment(EnglishEntity(1, "", "X", None, Outcome.UNKNOWN_TAG), Outcome.UNKNOWN_TAG),
    ],
)
def test_a_line_of_the_ledger_comes_back(alignment: Alignment) -> None:
    row = alignment_row(alignment)
    entities, lines = ledger_of([[row[name] for name in (*ENGLISH_ENTITY, *ALIGNMENT)]])
    assert (entities, lines) == ((alignment.english,), (alignment,))


@pytest.mark.parametrize(
    "scores",
    [
        Scores(),
        Scores((0, 0, 0), None, (1, 2, 3), {"span/PER": (1, 0, 0)}, 0.0, "sig", (0,) * 10, 1.0),
    ],
)
def test_scores_come_back_with_zero_and_undefined_told_apart(scores: Scores) -> None:
    row = scores_row(scores)
    assert scores_of([row[name] for name in SCORES]) == scores


def test_equal_counts_by_tag_are_equal_text() -> None:
    first = scores_row(Scores(per_tag={"strict/PER": (1, 0, 0), "strict/LOC": (0, 0, 1)}))
    second = scores_row(Scores(per_tag={"strict/LOC": (0, 0, 1), "strict/PER": (1, 0, 0)}))
    assert first["per_tag_json"] == second["per_tag_json"] == '{"strict/LOC":[0,0,1],"strict/PER":[1,0,0]}'


def test_a_document_is_read_from_its_columns() -> None:
    row = {
        "ext_id": None,
        "lang": "ko",
        "dataset": "klue",
        "text": "서울",
        "gold_json": '[[0,2,"LOC"]]',
        "meta_json": '{"a":1}',
    }
    found = document_of([row[name] for name in DOCUMENT])
    assert isinstance(found, Document)
    assert found.gold is not None
    assert (found.gold[0].start, found.gold[0].end, found.gold[0].tag) == (0, 2, "LOC")
    assert found.meta == {"a": 1}
