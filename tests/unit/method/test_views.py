from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eat_worker.method.document import Span
from eat_worker.method.views import View, composed, cuts_segment, fold, folded, joins, segments

HARD = [
    unicodedata.normalize("NFD", "서울"),
    "서울",
    "\u0958",  # Devanagari qa, which NFC takes apart
    "\u0915\u093c",
    "छत्तीसगढ़",
    "\ufefb",  # Arabic lam-alef, one presentation form for two letters
    "\ufdfa",  # Arabic ligature of eighteen letters
    "مُحَمَّد",
    "👨\u200d👩\u200d👧",
    "❤\ufe0f",
    "\u200f",
    "\u2067",
    "\u0301",
    "\u0345",
    "é",
    "e\u0301",
    "Кали\u0301тино",
    "ｶﾞｰﾅ",
    "ＮＡＴＯ",
    "straße",
    "İ",
    "ﬁ",
    "½",
    " ",
    "\u3000",
    "\u00a0",
    "\u2028",
    "\n",
    "a",
    "A",
    "น้ำ",
    "\u1100",
    "\u1161",
    "\u11a8",
    "Acme",
]
TEXTS = st.lists(st.one_of(st.sampled_from(HARD), st.characters(exclude_categories=["Cs"])), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("ab", [(0, 1), (1, 2)]),
        ("e\u0301a", [(0, 2), (2, 3)]),
        ("\u0301a", [(0, 1), (1, 2)]),  # a lone mark at the beginning stands for itself
        ("\u0301\u0302", [(0, 2)]),
        ("\u1109\u1165\u110b\u116e\u11af", [(0, 2), (2, 5)]),  # 서울, typed as jamo
        ("\u0915\u093c\u094d", [(0, 3)]),
        ("❤\ufe0fa", [(0, 2), (2, 3)]),
        ("ｶﾞ", [(0, 2)]),
        ("น้ำ", [(0, 3)]),
        ("👩\u200d👧", [(0, 2), (2, 3)]),
        ("a\u200fb", [(0, 1), (1, 2), (2, 3)]),  # a direction mark belongs to nothing
    ],
)
def test_a_character_and_its_marks_are_one_segment(text: str, expected: list[tuple[int, int]]) -> None:
    assert list(segments(text)) == expected


@pytest.mark.parametrize(
    ("char", "expected"),
    [
        ("a", False),
        ("\u0301", True),
        ("\u094d", True),
        ("\u1161", True),
        ("\u11af", True),
        ("\u1109", False),
        ("\u200d", True),
        ("\u00ad", True),
        ("\u200f", False),
        ("울", False),
    ],
)
def test_marks_joiners_and_hangul_tails_join_what_is_before_them(char: str, expected: bool) -> None:
    assert joins(char) is expected


@pytest.mark.parametrize(("at", "expected"), [(0, False), (1, True), (2, False), (3, False)])
def test_a_cut_between_letter_and_mark_takes_a_character_apart(at: int, expected: bool) -> None:
    assert cuts_segment("e\u0301a", at) is expected


def test_a_composed_view_knows_where_each_character_came_from() -> None:
    assert composed("e\u0301a") == View("éa", (0, 2), (2, 3))
    assert composed("\u0958") == View("\u0915\u093c", (0, 0), (1, 1))
    assert composed(unicodedata.normalize("NFD", "서울")) == View("서울", (0, 2), (2, 5))
    assert composed("") == View("", (), ())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Кали\u0301тино", "калитино"),  # stress
        ("Горбачёв", "горбачев"),
        ("José", "josé"),  # an accent that is part of the letter stays
        ("مُحَمَّد", "محمد"),  # vowel signs
        ("محـــمد", "محمد"),  # tatweel
        ("\ufefb", "لا"),
        ("Garten\u00adstadt", "gartenstadt"),
        ("New  York\n", "newyork"),
        ("ＮＡＴＯ", "nato"),
        ("ｶﾞｰﾅ", "ガーナ"),
        ("Straße", "strasse"),
        ("İstanbul", "istanbul"),
        ("फ़्रांस", "फ्रांस"),
        ("می\u200cخواهم", "میخواهم"),
        ("\u200fالقاهرة\u200e", "القاهرة"),
        ("❤\ufe0f", "❤"),
        ("\u0301 ", ""),
        ("\x1f", ""),
    ],
)
def test_folding_drops_what_does_not_tell_words_apart(words: str, expected: str) -> None:
    assert fold(words) == expected


def test_a_character_that_folds_to_several_gives_its_place_to_each() -> None:
    assert folded("aß b") == View("assb", (0, 1, 1, 3), (1, 2, 2, 4))


def test_every_occurrence_is_found_from_the_left_with_its_raw_span() -> None:
    view = folded("Пари\u0301ж, париж")
    assert list(view.find_all("париж")) == [Span(0, 6), Span(8, 13)]
    assert list(folded("aaa").find_all("aa")) == [Span(0, 2), Span(1, 3)]
    assert list(view.find_all("рим")) == []
    assert list(view.find_all("")) == []


def test_half_of_a_character_stands_for_all_of_it() -> None:
    assert list(folded("Straße").find_all("s")) == [Span(0, 1), Span(4, 5), Span(4, 5)]


@settings(deadline=None)
@given(TEXTS)
def test_segments_cut_the_text_without_loss(text: str) -> None:
    pieces = list(segments(text))
    assert "".join(text[start:end] for start, end in pieces) == text
    assert all(start < end for start, end in pieces)
    assert all(not joins(text[start]) for start, _ in pieces[1:])


@settings(deadline=None)
@given(TEXTS)
def test_composing_by_segments_is_composing(text: str) -> None:
    without_joiners = "".join(char for char in text if unicodedata.combining(char) or char.isalnum())
    assert composed(without_joiners).text == unicodedata.normalize("NFC", without_joiners)


@settings(deadline=None)
@given(TEXTS)
def test_every_place_of_a_view_lies_in_the_text_and_places_never_go_back(text: str) -> None:
    for view in (composed(text), folded(text)):
        assert len(view.text) == len(view.starts) == len(view.ends)
        assert list(view.starts) == sorted(view.starts)
        assert list(view.ends) == sorted(view.ends)
        assert all(0 <= start < end <= len(text) for start, end in zip(view.starts, view.ends, strict=True))


@settings(deadline=None)
@given(TEXTS, st.data())
def test_any_part_of_a_view_has_a_raw_span_that_cuts_no_character(text: str, data: st.DataObject) -> None:
    view = data.draw(st.sampled_from([composed(text), folded(text)]))
    if not view.text:
        return
    start = data.draw(st.integers(0, len(view.text) - 1))
    end = data.draw(st.integers(start + 1, len(view.text)))
    raw = view.raw_span(start, end)
    assert 0 <= raw.start < raw.end <= len(text)
    assert not cuts_segment(text, raw.start)
    assert not cuts_segment(text, raw.end)
    words = text[raw.start : raw.end]
    assert view.text[start:end] in (folded(words).text if view == folded(text) else composed(words).text)


@settings(deadline=None)
@given(TEXTS, st.data())
def test_a_piece_of_the_text_is_found_again_at_its_own_place(text: str, data: st.DataObject) -> None:
    pieces = list(segments(text))
    if not pieces:
        return
    first = data.draw(st.integers(0, len(pieces) - 1))
    last = data.draw(st.integers(first, len(pieces) - 1))
    start, end = pieces[first][0], pieces[last][1]
    for make in (composed, folded):
        needle = make(text[start:end]).text
        found = list(make(text).find_all(needle))
        # What folds to nothing at the ends (a blank, a direction mark) is not part of the place that is found.
        inside = [span for span in found if start <= span.start < span.end <= end]
        assert inside or not needle
        assert all(make(text[span.start : span.end]).text.find(needle) >= 0 for span in found)


@settings(deadline=None)
@given(TEXTS)
def test_the_way_a_text_was_typed_does_not_change_its_folded_form(text: str) -> None:
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))
