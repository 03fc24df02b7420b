"""Entities to labels per word and back."""

from __future__ import annotations

import pytest

from eat_worker.engines.extractors.words import entities_of, labels_of, words_of

TEXT = "Ann Lee left New York."
WORDS = words_of(TEXT)


def test_labels_mark_where_entities_begin_and_go_on() -> None:
    assert labels_of(WORDS, [(13, 21, "LOC"), (0, 7, "PER")]) == ["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O"]


def test_a_word_that_an_entity_covers_in_part_belongs_to_it() -> None:
    assert labels_of(WORDS, [(13, 18, "LOC")]) == ["O", "O", "O", "B-LOC", "I-LOC", "O"]


def test_of_overlapping_entities_the_first_keeps_its_words() -> None:
    assert labels_of(WORDS, [(0, 7, "PER"), (4, 12, "ORG")]) == ["B-PER", "I-PER", "B-ORG", "O", "O", "O"]


def test_entities_stand_where_their_words_stand() -> None:
    assert entities_of(WORDS, ["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O"]) == [(0, 7, "PER"), (13, 21, "LOC")]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["O", "I-PER", "O", "O", "O", "O"], [(4, 7, "PER")]),
        (["B-PER", "I-LOC", "O", "O", "O", "O"], [(0, 3, "PER"), (4, 7, "LOC")]),
        (["O", "O", "O", "B-GPE", "I-GPE", "O"], [(13, 21, "LOC")]),
        (["B-MISC", "I-MISC", "O", "O", "O", "I-ORGANIZATION"], [(21, 22, "ORG")]),
    ],
)
def test_stray_labels_are_repaired_and_foreign_types_translated(
    labels: list[str], expected: list[tuple[int, int, str]]
) -> None:
    assert entities_of(WORDS, labels) == expected


def test_what_is_no_label_is_refused() -> None:
    with pytest.raises(ValueError, match="'LABEL_0' is not a tag"):
        entities_of(WORDS[:1], ["LABEL_0"])
