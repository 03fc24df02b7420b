from __future__ import annotations

import json
from pathlib import Path

import pytest

from eat_worker.corpora.tagmaps import KNOWN, chosen_tag_map, tag_map
from eat_worker.errors import ConfigurationError
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


def test_a_map_may_be_chosen_by_the_name_of_a_dataset() -> None:
    assert chosen_tag_map("klue") == tag_map("klue")


def test_a_map_of_ones_own_stands_over_the_plain_tags(tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text('{"Ort": "LOC", "PERSON": null}')
    tags = chosen_tag_map(str(tmp_path / "map.json"))
    assert (tags["Ort"], tags["PERSON"], tags["PER"], tags.get("MISC")) == ("LOC", None, "PER", None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "neither a file nor one of aqmar, conll2002, conll2003, eacl_silver, hiner, klue"),
        ("", "is not JSON"),
        ("\xff", "is not JSON"),
        ("[]", "is not an object of tags"),
        ('{"Ort": "loc"}', "'Ort' is 'loc', which is not one of PER, LOC, ORG or null"),
        ('{"klue": {"PS": "PER"}}', "'klue' is {'PS': 'PER'}, which is not one of PER, LOC, ORG or null"),
    ],
)
def test_a_map_that_cannot_be_used_says_why(tmp_path: Path, content: str | None, why: str) -> None:
    if content is not None:
        (tmp_path / "map.json").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigurationError) as told:
        chosen_tag_map(str(tmp_path / "map.json"))
    assert str(told.value).startswith("tag_map: ")
    assert why in str(told.value)


def test_a_folder_is_no_map(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        chosen_tag_map(str(tmp_path))


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data folder beside the checkout")
def test_agrees_with_the_shared_suggestion() -> None:
    suggested = json.loads((SHARED / "data/ner/tagmap.json").read_text())
    for dataset, tags in suggested.items():
        for tag, ours in tags.items():
            assert tag_map(dataset).get(tag) == ours, (dataset, tag)
