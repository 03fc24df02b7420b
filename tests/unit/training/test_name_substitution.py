"""Sentences seen again under other names, and sentences made for the purpose."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from eat_worker.errors import CorpusError
from eat_worker.training.name_substitution import made_sentences, read_names, renamed
from eat_worker.training.tagged import Tagged

NAMES = {"PER": ["Ada Byron"], "LOC": ["Bergen"], "ORG": ["Acme Group"], "MISC": ["Danish"]}
SENTENCE = Tagged("Bob Lee left Oslo for IBM.", ((0, 7, "PER"), (13, 17, "LOC"), (22, 25, "ORG")))


class Always(random.Random):
    """Draws the same number every time."""

    def __init__(self, value: float) -> None:
        super().__init__(1)
        self._value = value

    def random(self) -> float:
        return self._value


def test_names_are_exchanged_and_their_places_follow() -> None:
    assert renamed(SENTENCE, NAMES, Always(0.9)) == Tagged(
        "Ada Byron left Bergen for Acme Group.", ((0, 9, "PER"), (15, 21, "LOC"), (26, 36, "ORG"))
    )


def test_some_mentions_keep_their_name() -> None:
    assert renamed(SENTENCE, NAMES, Always(0.1)) == SENTENCE


@pytest.mark.parametrize(("value", "name"), [(0.5, "Byron"), (0.9, "Ada")])
def test_one_word_for_a_person_becomes_one_word(value: float, name: str) -> None:
    assert renamed(Tagged("Bob left", ((0, 3, "PER"),)), NAMES, Always(value)).text == f"{name} left"


def test_given_and_family_names_of_two_people_make_a_third() -> None:
    names = {**NAMES, "PER": ["Ada Byron", "Max Born"]}
    drawn = {renamed(Tagged("Bob Lee", ((0, 7, "PER"),)), names, random.Random(seed)).text for seed in range(60)}
    assert drawn == {"Bob Lee", "Ada Byron", "Max Born", "Ada Born", "Max Byron"}


def test_small_letters_and_capitals_stay() -> None:
    assert renamed(Tagged("in oslo", ((3, 7, "LOC"),)), NAMES, Always(0.9)).text == "in bergen"
    assert renamed(Tagged("PARIS BURNS", ((0, 5, "LOC"),)), NAMES, Always(0.9)).text == "BERGEN BURNS"


def test_made_sentences_mark_every_name_and_only_names() -> None:
    known = {"PER": {"Ada Byron", "Ada", "Byron"}, "LOC": {"Bergen"}, "ORG": {"Acme Group"}}
    made = list(made_sentences(400, NAMES, random.Random(3)))
    assert len(made) == 400
    for sentence in made:
        assert "{" not in sentence.text
        assert all(sentence.text[start:end] in known[tag] for start, end, tag in sentence.entities)
    assert {tag for sentence in made for *_, tag in sentence.entities} == {"PER", "LOC", "ORG"}
    assert any("Danish" in sentence.text for sentence in made)
    assert any(any(char.isdigit() for char in sentence.text) for sentence in made)


def test_the_same_seed_makes_the_same_sentences() -> None:
    assert list(made_sentences(20, NAMES, random.Random(3))) == list(made_sentences(20, NAMES, random.Random(3)))
    assert list(made_sentences(20, NAMES, random.Random(3))) != list(made_sentences(20, NAMES, random.Random(4)))


def test_names_that_do_not_look_like_names_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "names.tsv"
    lines = [
        "Ada Byron\tPER",
        "BERGEN\tLOC",
        "USA\tLOC",
        "Oslo (city)\tLOC",
        "iRobot\tORG",
        "Acme\tORG",
        "1848\tMISC",
        "Dane\tMISC",
    ]
    file.write_text("\n".join(lines))
    assert read_names(file) == {"PER": ["Ada Byron"], "LOC": ["Bergen", "USA"], "ORG": ["Acme"], "MISC": ["Dane"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Ada\tPER\nBergen LOC\n", r"names\.tsv:2: expected name<TAB>PER"),
        (b"Ada\tPERSON\n", r"names\.tsv:1: expected"),
        (b"Ada\tPER\n", "no usable name of LOC, ORG, MISC"),
        (b"\xff", "cannot be read as names"),
    ],
)
def test_a_file_of_something_else_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "names.tsv").write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        read_names(tmp_path / "names.tsv")
