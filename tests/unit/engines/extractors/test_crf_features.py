"""What the CRF sees of a word."""

from __future__ import annotations

import pytest

from eat_worker.engines.extractors.crf_features import clues_of, features_of, own_features, shape_of
from eat_worker.engines.extractors.words import words_of


def seen(text: str, place: int) -> set[str]:
    return set(features_of(words_of(text))[place])


@pytest.mark.parametrize(
    ("text", "shape"),
    [("McDonald", "XxXx+"), ("U.S.", "X.X."), ("2014", "d+"), ("al", "x+"), ("서울", "l+"), (",", ","), ("B2", "Xd")],
)
def test_a_shape_keeps_the_kinds_of_characters(text: str, shape: str) -> None:
    assert shape_of(text) == shape


def test_a_word_shows_its_letters() -> None:
    assert own_features("Oslo") == (
        *("w=oslo", "s=Xx+", "p=o", "e=o", "p=os", "e=lo", "p=osl", "e=slo"),
        *("cap", "W=Oslo", "caplen=4"),
    )


def test_marks_figures_and_capitals_are_told() -> None:
    assert "mark" in own_features("--")
    assert "digit" in own_features("B52")
    assert "upper" in own_features("BBC")
    assert "upper" not in own_features("A")
    assert "clue=B" in own_features("University")


def test_neighbours_are_seen_in_small_letters_two_words_far() -> None:
    found = seen("The mayor of Oslo went home", 3)
    assert {"w-2=mayor", "w-1=of", "w1=went", "w2=home", "clue-2=P", "w-1w=of|oslo", "ww1=oslo|went"} <= found
    assert "w-1w1=of|went" in found
    assert "s-1ss1=x+|Xx+|x+" in found


def test_beyond_the_sentence_there_is_nothing() -> None:
    assert {"w-1=~", "w-2=~", "w1=~", "opens"} <= seen("Oslo", 0)


def test_all_words_of_a_name_see_what_stands_around_it() -> None:
    text = "He left the University Hospital yesterday ."
    for place, (before, after) in ((3, ("rfrom=0", "rto=1")), (4, ("rfrom=1", "rto=0"))):
        expected = {"rlen=2", "rb=the", "ra=yesterday", "rfirst=university", "rlast=hospital", "rclue=B", before, after}
        assert expected <= seen(text, place)
    assert not any(feature.startswith("rlen") for feature in seen(text, 2))


def test_a_hyphen_between_capitalised_words_joins_them() -> None:
    assert {"rlen=3", "rfirst=jean", "rlast=luc"} <= seen("old Jean-Luc came", 1)
    assert "rlen=1" in seen("an Oslo-based firm", 1)


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("He went to Oslo", "style=mixed"),
        ("he went to oslo", "style=small"),
        ("STORM HITS OSLO AGAIN", "style=upper"),
        ("Storm Hits Oslo Again", "style=title"),
        ("12 , 13", "style=none"),
        ("Oslo", "style=mixed"),
    ],
)
def test_the_style_of_a_sentence_is_told_to_all_its_words(text: str, style: str) -> None:
    assert all(style in features for features in map(set, features_of(words_of(text))))


def test_a_word_that_also_stands_in_small_letters_says_so() -> None:
    assert "also small" in seen("Rose saw a rose", 0)
    assert "also small" not in seen("Rose saw a lily", 0)


def test_words_without_a_blank_before_them_say_so() -> None:
    assert "glued" in seen("Ann's", 1)
    assert "glued" not in seen("Ann came", 1)


@pytest.mark.parametrize(
    ("word", "clues"), [("mr.", ("P",)), ("university", ("B",)), ("river", ("L",)), ("may", ("D",)), ("cat", ())]
)
def test_few_words_are_clues(word: str, clues: tuple[str, ...]) -> None:
    assert clues_of(word) == clues
