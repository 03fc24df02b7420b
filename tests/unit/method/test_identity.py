from __future__ import annotations

from dataclasses import replace

import pytest

from eat_worker.method.document import Document, GoldEntity
from eat_worker.method.identity import content_hash

PLAIN = Document("Anna wohnt in Bonn.", "de", "a1", "uner", (GoldEntity(0, 4, "PER"), GoldEntity(14, 18, "LOC")), {})


def test_the_hash_is_the_same_on_every_machine() -> None:
    assert content_hash(Document("서울", "ko")) == "9c58e1fa5c5acd060fee1556154cbfe1425e4a5ef0c655ff7fb135c01dde55df"
    assert content_hash(PLAIN) == "8e4b409eaf6b25c7d782505237c8d19719b18a5dd8fb038e8b8aa492b96859e3"


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAIN, dataset="wikiann"),
        replace(PLAIN, meta={"page": 1}),
        replace(PLAIN, gold=(GoldEntity(14, 18, "LOC"), GoldEntity(0, 4, "PER"))),
    ],
)
def test_dataset_meta_and_the_order_of_gold_do_not_count(other: Document) -> None:
    assert content_hash(other) == content_hash(PLAIN)


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAIN, text="Anna wohnt in Bonn"),
        replace(PLAIN, lang="nl"),
        replace(PLAIN, ext_id=None),
        replace(PLAIN, ext_id=""),
        replace(PLAIN, ext_id="a2"),
        replace(PLAIN, gold=None),
        replace(PLAIN, gold=()),
        replace(PLAIN, gold=(GoldEntity(0, 4, "PER"),)),
        replace(PLAIN, gold=(GoldEntity(0, 4, "PER"), GoldEntity(14, 18, "ORG"))),
        replace(PLAIN, gold=(GoldEntity(0, 4, "PER"), GoldEntity(13, 18, "LOC"))),
    ],
)
def test_everything_else_counts(other: Document) -> None:
    assert content_hash(other) != content_hash(PLAIN)


def test_canonically_equal_texts_are_one() -> None:
    composed, decomposed = "\uc11c\uc6b8", "\u1109\u1165\u110b\u116e\u11af"
    assert content_hash(Document(composed, "ko")) == content_hash(Document(decomposed, "ko"))


def test_compatible_texts_are_two() -> None:
    assert content_hash(Document("ＡＢ", "de")) != content_hash(Document("AB", "de"))


def test_fields_cannot_flow_into_one_another() -> None:
    documents = [
        Document("ab", "de", "c"),
        Document("a", "de", "bc"),
        Document("abde", "de", "c"),
        Document("ab", "de", "dec"),
        Document("ab", "de", "c-"),
        Document("ab", "de", "c", gold=()),
        Document("2 2 1 ab", "de", "c"),
    ]
    assert len({content_hash(document) for document in documents}) == len(documents)


def test_half_a_surrogate_pair_does_not_stop_it() -> None:
    assert len(content_hash(Document("\ud800", "de"))) == 64
