from __future__ import annotations

import unicodedata

import pytest

from eat_worker.method.document import Span
from eat_worker.method.views import fold
from eat_worker.method.wordforms import Kind, inside_word, kind_of, likeness, only_particles, word_around, words_of


@pytest.mark.parametrize(
    ("char", "expected"),
    [
        ("a", Kind.LETTER),
        ("7", Kind.LETTER),
        (" ", Kind.OPEN),
        (".", Kind.OPEN),
        ("я", Kind.LETTER),
        ("ა", Kind.LETTER),
        ("ق", Kind.LETTER),
        ("क", Kind.LETTER),
        ("\u094d", Kind.OPEN),  # a mark alone makes no word
        ("\u00ad", Kind.OPEN),
        ("Ａ", Kind.LETTER),
        ("«", Kind.OPEN),
        ("\u200f", Kind.OPEN),
        ("울", Kind.HANGUL),
        ("\u11af", Kind.HANGUL),
        ("ㅋ", Kind.HANGUL),
        ("ガ", Kind.KATAKANA),
        ("ー", Kind.KATAKANA),
        ("ｶ", Kind.KATAKANA),
        ("・", Kind.OPEN),
        ("が", Kind.OPEN),
        ("北", Kind.OPEN),
        ("𠮷", Kind.OPEN),
        ("ไ", Kind.OPEN),
        ("ខ", Kind.OPEN),
        ("😀", Kind.OPEN),
    ],
)
def test_scripts_differ_in_how_their_characters_make_words(char: str, expected: Kind) -> None:
    assert kind_of(char) is expected


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("Berlin", 0, None),
        ("Berlin", 3, Kind.LETTER),
        ("Berlin", 6, None),
        ("in Berlin", 2, None),
        ("EU諸国", 2, None),  # a Latin name ends where Han begins
        ("UN군", 2, None),
        ("20대", 2, None),
        ("दिल्ली", 2, Kind.LETTER),
        ("दिल्ली", 4, Kind.LETTER),
        ("❤\ufe0f00", 1, None),
        ("❤\ufe0f00", 2, None),
        ("\u0301a", 1, None),
        ("Garten\u00adstadt", 7, Kind.LETTER),
        (unicodedata.normalize("NFD", "서울"), 2, Kind.HANGUL),
        ("서울에서", 2, Kind.HANGUL),
        ("アジア", 1, Kind.KATAKANA),
        ("東京都", 2, None),
        ("ประเทศไทย", 6, None),
        ("O’Neill", 1, None),
    ],
)
def test_a_cut_inside_a_word_is_known_where_the_script_shows_words(text: str, at: int, expected: Kind | None) -> None:
    assert inside_word(text, at) is expected


def test_the_word_around_a_cut() -> None:
    assert word_around("in Berliner Luft", 5) == Span(3, 11)
    assert word_around("in Berliner Luft", 3) == Span(3, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("«Москва»,  2010", ["Москва", "2010"]),
        ("Jean-Paul d’Ivoire", ["Jean", "Paul", "d", "Ivoire"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("EU諸国のインド", ["EU", "インド"]),
        ("서울에서 왔다.", ["서울에서", "왔다"]),
        ("Jose\u0301 fue", ["Jose\u0301", "fue"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
    ],
)
def test_words_are_runs_of_one_script(text: str, expected: list[str]) -> None:
    assert [text[span.start : span.end] for span in words_of(text)] == expected


@pytest.mark.parametrize("rest", ["", "에서", "은", "에서는", "들은", "까지도", "이라는", "의"])
def test_particles_may_follow_a_korean_noun(rest: str) -> None:
    assert only_particles(rest)


@pytest.mark.parametrize("rest", ["대학교", "호", "에서에서에서", "시"])
def test_other_syllables_make_another_word(rest: str) -> None:
    assert not only_particles(rest)


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ("москва", "москва", (1.0, 6)),
        ("москва", "москве", (5 / 6, 6)),
        ("рим", "риме", (3 / 4, 4)),
        ("петр", "петра", (4 / 5, 5)),
        ("ева", "еве", (0.0, 0)),  # two letters are not enough
        ("рим", "римский", (0.0, 0)),
        ("roma", "romania", (0.0, 0)),
        ("ленинград", "калининград", (0.0, 0)),
        ("2010", "2012", (0.0, 0)),
        ("서울에서", "서울로", (0.5, 2)),
        ("서울", "서울은", (2 / 3, 2)),
        ("서울에서는", "서울에서", (4 / 5, 2)),  # the particle they share is no part of the name
        ("이승만은", "이승만이", (3 / 4, 3)),
        ("김철수", "김철호", (0.0, 0)),
        ("이", "이는", (0.0, 0)),
        ("서울", "부산", (0.0, 0)),
        ("القاهرة", "والقاهرة", (0.9, 8)),
        ("القاهرة", "للقاهرة", (0.9, 7)),
        ("القاهرة", "قاهرة", (0.9, 5)),
        ("بغداد", "ببغداد", (0.9, 6)),
        ("دار", "جدار", (0.0, 0)),  # j is no particle
        ("ירושלים", "בירושלים", (0.9, 8)),
        ("コンピュータ", "コンピューター", (6 / 7, 7)),
    ],
)
def test_likeness_of_two_words(wanted: str, found: str, expected: tuple[float, int]) -> None:
    assert likeness(wanted, found) == pytest.approx(expected)


def test_korean_typed_as_jamo_is_like_korean_typed_as_syllables() -> None:
    assert likeness(fold(unicodedata.normalize("NFD", "서울에서")), "서울로") == (0.5, 2)
