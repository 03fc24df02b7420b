"""English words that know where they stand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from eat_worker.engines.extractors.words import Word, words_of


def texts(text: str) -> list[str]:
    return [word.text for word in words_of(text)]


def test_words_carry_their_place_and_whether_a_blank_stands_before_them() -> None:
    assert words_of("Ann, of  Oslo") == [
        Word("Ann", 0, 3, False),
        Word(",", 3, 4, True),
        Word("of", 5, 7, False),
        Word("Oslo", 9, 13, False),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann's dog", ["Ann", "'s", "dog"]),
        ("Ann’s dog", ["Ann", "’s", "dog"]),
        ("O'Brien didn't", ["O'Brien", "didn't"]),
        ("the U.S.-led force", ["the", "U.S.", "-", "led", "force"]),
        ("Rostov-on-Don", ["Rostov", "-", "on", "-", "Don"]),
        ("Mr. Lee left.", ["Mr.", "Lee", "left", "."]),
        ("J.R.R. Tolkien", ["J.R.R.", "Tolkien"]),
        ("at 3:30, 1,000.5 km", ["at", "3:30", ",", "1,000.5", "km"]),
        ("see https://a.example/b?c=d now", ["see", "https://a.example/b?c=d", "now"]),
        ("to ann.b@mail.example.org", ["to", "ann.b@mail.example.org"]),
        ("Masir (Antipur)", ["Masir", "(", "Antipur", ")"]),
        ("서울 and 東京", ["서울", "and", "東京"]),
        ("Köln, Beyoncé", ["Köln", ",", "Beyoncé"]),
        ("a_b", ["a", "_", "b"]),
        ("", []),
        (" \t\n ", []),
    ],
)
def test_names_are_not_cut_and_their_surroundings_are(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_every_visible_character_belongs_to_exactly_one_word() -> None:
    text = "“Ümit's” x²–y… №5 @a #b  p.m. 50% ½ ‘q’ \u200bz e\u0301"
    words = words_of(text)
    assert "".join(word.text for word in words) == "".join(text.split())
    assert all(text[word.start : word.end] == word.text for word in words)
    assert all(before.end <= after.start for before, after in pairwise(words))
