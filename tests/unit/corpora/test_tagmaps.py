from __future__ import annotations

import json
from pathlib import Path

import pytest

from eat_worker.corpora.tagmaps import KNOWN, tag_map
from eat_worker.method.document import TAGS

SHARED = Path(__file__).resolve().parents[3].parent / "shared"


@pytest.mark.parametrize("dataset", [None, "", "mine"])
def test_an_unknown_dataset_keeps_plain_tags_and_their_long_names(dataset: str | None) -> None:
    tags = tag_map(dataset)
    assert (tags["PER"], tags["PERSON"], tags["LOCATION"], tags["ORGANIZATION"]) == ("PER", "PER", "LOC", "ORG")
    assert tags.get("MISC") is None


def test_a_known_dataset_names_its_own() -> None:
    assert (tag_map("klue")["OG"], tag_map("klue")["DT"]) == ("ORG", None)
    assert tag_map("multiconer1")["CORP"] == "ORG"
    assert tag_map("ud_japanese_gsd")["GPE"] == "LOC"


def test_a_file_that_has_been_mapped_before_is_understood() -> None:
    assert tag_map("klue")["PER"] == "PER"
    assert tag_map("multiconer1")["ORG"] == "ORG"


def test_every_map_ends_in_the_three_tags() -> None:
    assert {tag for tags in KNOWN.values() for tag in tags.values() if tag} == set(TAGS)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data folder beside the checkout")
def test_agrees_with_the_shared_suggestion() -> None:
    suggested = json.loads((SHARED / "data/ner/tagmap.json").read_text())
    for dataset, tags in suggested.items():
        for tag, ours in tags.items():
            assert tag_map(dataset).get(tag) == ours, (dataset, tag)
