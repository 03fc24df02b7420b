"""Entities as values and as the paper writes them."""

from __future__ import annotations

from eat_worker.engines.extractors.extractor import numbered, render_entities
from eat_worker.method.document import TAGS, EnglishEntity, Outcome, Span
from eat_worker.method.extract import parse_entities

TEXT = "Ann left Acme, Inc. in Oslo."
ENTITIES = (
    EnglishEntity(0, "Ann", "PER", Span(0, 3)),
    EnglishEntity(1, "Acme, Inc.", "ORG", Span(9, 19)),
    EnglishEntity(2, "Oslo", "LOC", Span(23, 27)),
)


def test_entities_are_numbered_in_the_order_of_the_text() -> None:
    assert numbered(TEXT, [(23, 27, "LOC"), (0, 3, "PER"), (9, 19, "ORG")]) == ENTITIES


def test_of_the_same_words_three_mentions_count() -> None:
    text = "Goa, Goa, Goa, Goa, Goa, Ulm"
    found = numbered(text, [(at, at + 3, "LOC") for at in range(0, 26, 5)])
    assert [(entity.index, entity.mention, entity.span) for entity in found] == [
        (0, "Goa", Span(0, 3)),
        (1, "Goa", Span(5, 8)),
        (2, "Goa", Span(10, 13)),
        (3, "Ulm", Span(25, 28)),
    ]


def test_entities_are_rendered_as_the_paper_writes_them() -> None:
    assert render_entities(ENTITIES) == "(PER, Ann) (ORG, Acme, Inc.) (LOC, Oslo)"


def test_no_entity_is_said_too() -> None:
    assert render_entities([]) == "none"


def test_an_entity_without_a_place_is_rendered_like_the_others() -> None:
    assert render_entities([EnglishEntity(0, "Bo", "PER", unusable=Outcome.NOT_IN_TRANSLATION)]) == "(PER, Bo)"


def test_what_is_rendered_is_read_back_the_same() -> None:
    assert parse_entities(render_entities(ENTITIES), TEXT, TAGS) == ENTITIES
