from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from eat_worker.method.document import ALIGNED, Outcome, Span
from eat_worker.method.matching import (
    LONGEST_ANSWER,
    Match,
    covers_too_much,
    longest_common_run,
    match,
    match_official,
    matcher,
    overlaps,
)
from eat_worker.method.views import cuts_segment, segments
from eat_worker.method.wordforms import Kind, inside_word

EXACT, NORMALISED = Outcome.EXACT, Outcome.NORMALISED
INFLECTED, PARTIAL = Outcome.INFLECTED, Outcome.PARTIAL

HARD = [
    unicodedata.normalize("NFD", "서울"),
    "서울에서 ",
    "\u0958",
    "छत्तीसगढ़ ",
    "\ufefb",
    "مُحَمَّد ",
    "👨\u200d👩\u200d👧",
    "❤\ufe0f",
    "\u200f",
    "\u2067",
    "\u0301",
    "e\u0301",
    "Кали\u0301тино ",
    "ｶﾞｰﾅ",
    "ＮＡＴＯ",
    "東京都",
    "ประเทศไทย",
    "İ",
    "½",
    " ",
    ", ",
    "(",
    ")",
    '"',
    "Berlin ",
    "a",
]
TEXTS = st.lists(st.one_of(st.sampled_from(HARD), st.characters(exclude_categories=["Cs"])), max_size=10).map("".join)


def found(answer: str, text: str, *taken: tuple[int, int], official: bool = False) -> tuple[Outcome, str | None]:
    """The outcome and the words of the text that were found."""
    place = matcher("official" if official else "char")(answer, text, [Span(*span) for span in taken])
    return place.outcome, None if place.span is None else text[place.span.start : place.span.end]


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ("서울", "나는 서울에서 왔다", "서울"),  # the particle stays outside
        ("경찰", "경찰은 말했다", "경찰"),
        ("東京", "彼は東京に行った", "東京"),
        ("北京", "他在北京", "北京"),
        ("ไทย", "ประเทศไทยมี", "ไทย"),
        ("Oslo", "in Oslo, Norway", "Oslo"),
        ("EU", "EU諸国は", "EU"),
        ("UN", "한국은 UN군과", "UN"),
        ("कश्मीर", "कश्मीर में", "कश्मीर"),
        ("Istanbul", "Istanbul’da", "Istanbul"),
        ("Ann", "Ann's mother", "Ann"),
    ],
)
def test_words_that_stand_in_the_text_are_found_as_they_are(answer: str, text: str, expected: str) -> None:
    assert found(answer, text) == (EXACT, expected)


def test_offsets_count_code_points_of_the_raw_text() -> None:
    assert match("野家", "😀𠮷野家 गाँव") == Match(EXACT, Span(2, 4))


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ("서울", unicodedata.normalize("NFD", "나는 서울에서"), unicodedata.normalize("NFD", "서울")),
        (unicodedata.normalize("NFD", "서울"), "나는 서울에서", "서울"),
        ("\u0915\u093c\u0938\u092c\u093e", "\u0958\u0938\u092c\u093e में", "\u0958\u0938\u092c\u093e"),
        ("फ्रांस", "फ़्रांस में", "फ़्रांस"),
        ("Калитино", "село Кали\u0301тино", "Кали\u0301тино"),
        ("Горбачев", "Михаил Горбачёв", "Горбачёв"),
        ("محمد", "مُحَمَّد هنا", "مُحَمَّد"),
        ("محمد", "محـــمد هنا", "محـــمد"),
        ("لا", "\ufefb", "\ufefb"),
        ("NATO", "ＮＡＴＯ加盟", "ＮＡＴＯ"),
        ("ガーナ", "ｶﾞｰﾅの", "ｶﾞｰﾅ"),
        ("moskau", "in Moskau", "Moskau"),
        ("Gartenstadt", "die Garten\u00adstadt", "Garten\u00adstadt"),
        ("Straße", "STRASSE 5", "STRASSE"),
        ("Istanbul", "İstanbul gezisi", "İstanbul"),
        ("New York", "in New\u00a0York", "New\u00a0York"),
        ("New York", "in New  York", "New  York"),
        ("大韓 民國", "大韓民國", "大韓民國"),
        ("القاهرة", "\u200fالقاهرة\u200e", "القاهرة"),
    ],
)
def test_the_way_words_are_typed_does_not_matter(answer: str, text: str, expected: str) -> None:
    outcome, words = found(answer, text)
    assert (outcome in (EXACT, NORMALISED), words) == (True, expected)


def test_folding_is_said_to_have_been_needed() -> None:
    assert match("moskau", "in Moskau").outcome is NORMALISED


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ("Москва", "Он живёт в Москве", "Москве"),
        ("Рим", "Он в Риме", "Риме"),
        ("Берлин", "Он в Берлине", "Берлине"),  # the whole word, not its first six letters
        ("Берлин", "Он в БЕРЛИНЕ", "БЕРЛИНЕ"),
        ("Владимир Путин", "Владимира Путина ждут", "Владимира Путина"),
        ("Санкт-Петербург", "в Санкт-Петербурге", "Санкт-Петербурге"),
        ("Мария", "Марина встретила Марию", "Марию"),  # the most alike, not the first
        ("Berlin", "Berliner Mauer", "Berliner"),
        ("القاهرة", "زار والقاهرة", "والقاهرة"),  # behind a proclitic
        ("القاهرة", "سافر للقاهرة", "للقاهرة"),
        ("ירושלים", "גר בירושלים", "בירושלים"),
        ("이승만은", "이승만이 말했다", "이승만"),
        ("भारत", "भारतीय सेना", "भारतीय"),
    ],
)
def test_another_form_of_the_word_is_found(answer: str, text: str, expected: str) -> None:
    assert found(answer, text) == (INFLECTED, expected)


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ("東京都知事", "東京都の人", "東京都"),
        ("서울특별시", "서울은 크다", None),
        ("이승만 대통령", "이승만이 말했다", "이승만"),
        ("Universität von Oslo", "die Universität Oslo", "Universität"),
        ("Олимпиада 2010", "Олимпиада 2012 года", "Олимпиада"),  # the year is another one
        ("Bundesrepublik D", "die Bundesrepubliken", "Bundesrepubliken"),
        ("コンピュータ会社", "スーパーコンピュータ", None),  # from the middle of a word
        ("コンピ社", "コンピュータ", None),  # to the middle of a word
        ("abcd efgh", "xabcd", None),
        ("abcdef", "abcdxyz", None),
        ("北海", "北極", None),
        ("Nordrhein-Westf", "Nordrheinland", "Nordrheinland"),
        ("Nordr West", "Nordrhein", None),
        ("Neue Nordr West", "die neue Nordrheinischewest", None),
        (",,,abcd efg", "(,,,)", None),
    ],
)
def test_a_shared_part_is_found_if_it_is_most_of_the_name(answer: str, text: str, expected: str | None) -> None:
    assert found(answer, text) == ((PARTIAL, expected) if expected else (Outcome.NOT_FOUND, None))


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ('"서울".', "서울에 갔다", "서울"),
        ("«Москва»", "Москва большая", "Москва"),
        ("**Berlin**", "Berlin ist", "Berlin"),
        ("Berlin.", "Ich wohne in Berlin.", "Berlin"),
        ("Acme Inc.", "Acme Inc. said", "Acme Inc."),
        ("Washington (D.C.)", "in Washington (D.C.) that very day", "Washington (D.C.)"),
        ("Бордо (город)", "город Бордо стоит", "Бордо"),
        ("Фишлер, Патрик", "актёр Патрик Фишлер", "Патрик Фишлер"),
        ('The words are "서울".', "나는 서울에 갔다", "서울"),
        ('In the sentence "나는 서울에 갔다" it is "서울"', "나는 서울에 갔다, 그리고 왔다", "서울"),
        ("Seoul (서울)", "서울에 갔다", "서울"),
        ("Seoul = 서울", "서울에 갔다", "서울"),
        ("「東京」で、大阪", "東京へ", "東京"),
        ("Words: МОСКВА", "Москва большая", "Москва"),
        ("The words are:\n서울", "서울에 갔다", "서울"),
        ("서울\nIt is a city.", "서울에 갔다", "서울"),
    ],
)
def test_what_models_put_around_a_name_is_read_over(answer: str, text: str, expected: str) -> None:
    outcome, words = found(answer, text)
    assert (outcome in ALIGNED, words) == (True, expected)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("in", "Berlin liegt dort"),
        ("IN", "Berlin liegt dort"),
        ("Roma", "Romania is"),
        ("Iran", "Tirana is"),
        ("रत", "भारत में"),
        ("김철수", "김철호가 왔다"),
        ("2010", "im Jahr 2012"),
        ("Jose", "Jose\u0301phine"),
        ("서우", unicodedata.normalize("NFD", "서울")),  # no half of a character
        ("Рим", "Римский мир"),
        ("ab cd", "ab 北京 cd"),
        ("北京A", "A級の人"),
        ("a", "ⓐ b"),  # a sign, no letter
        ("Seoul", "서울에 갔다"),
    ],
)
def test_chance_letters_and_other_words_are_refused(answer: str, text: str) -> None:
    assert match(answer, text) == Match(Outcome.NOT_FOUND)


@pytest.mark.parametrize("answer", ["", "  ", "?", "...", "\n\n", '""'])
def test_an_answer_without_a_letter_is_empty(answer: str) -> None:
    assert match(answer, "서울") == Match(Outcome.EMPTY)


def test_the_first_free_occurrence_wins() -> None:
    text = "Paris, Paris und Paris"
    assert match("Paris", text) == Match(EXACT, Span(0, 5))
    assert match("Paris", text, [Span(0, 5)]) == Match(EXACT, Span(7, 12))
    assert match("Paris", text, [Span(0, 5), Span(7, 12), Span(17, 22)]) == Match(Outcome.AMBIGUOUS)


def test_another_form_of_a_taken_word_is_still_free() -> None:
    text = "Москва большая, и в Москве тепло"
    assert found("Москва", text, (0, 6)) == (INFLECTED, "Москве")
    assert found("Москва", text, (0, 6), (20, 26)) == (Outcome.AMBIGUOUS, None)


def test_a_part_of_a_name_that_is_taken_is_no_answer() -> None:
    assert found("東京都", "東京都の東京", (0, 3)) == (Outcome.AMBIGUOUS, None)


@pytest.mark.parametrize(
    ("answer", "text", "start"),
    [
        ("서울", "동서울에서 서울로", 6),  # "East Seoul" first
        ("서울", "서울대학교는 서울시에", 0),
        ("서울", "서울대학교는 서울에", 7),
        ("서울", "서울에서 서울 시장이", 0),  # a particle is no cut
        ("インド", "インドネシアとインド", 7),
        ("北京", "在北京大学。北京很大", 1),  # Han shows no words: the first
    ],
)
def test_occurrences_that_cut_no_word_come_first(answer: str, text: str, start: int) -> None:
    place = match(answer, text).span
    assert place == Span(start, start + len(answer))


def test_most_of_a_sentence_of_several_clauses_is_no_name() -> None:
    text = "Er kam nach Rom, sah und siegte."
    assert match("Er kam nach Rom, sah und siegte", text) == Match(Outcome.TOO_LONG)
    assert match("Rom", text) == Match(EXACT, Span(12, 15))


def test_a_shorter_reading_is_taken_where_the_whole_answer_is_too_long() -> None:
    text = "Er kam, sah und siegte."
    assert match("Er kam, sah und siegte", text) == Match(Outcome.TOO_LONG)
    assert match("Er kam, sah und siegte -> Er", text) == Match(EXACT, Span(0, 2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Er kam, sah und siegte.", True),
        ("彼は来た。見た。勝った。", True),
        ("나는 갔고, 그는 왔다. 끝", True),
        ("Er kam und sah und siegte.", False),  # one clause
        ("Paris, Texas", False),  # a title
        ("Мусин , Аслан Еспулаевич", False),
        ("東京、日本", False),
        ("St. John's University School of Law", False),
        ("J. R. R. Tolkien und C. S. Lewis", False),
    ],
)
def test_clauses_are_told_from_titles_and_abbreviations(text: str, expected: bool) -> None:
    assert covers_too_much(Span(0, len(text)), text) is expected


def test_spans_overlap_when_they_share_a_code_point() -> None:
    assert overlaps(Span(2, 4), [Span(0, 1), Span(3, 5)])
    assert not overlaps(Span(2, 4), [Span(0, 2), Span(4, 6)])
    assert not overlaps(Span(2, 4), [])


@pytest.mark.parametrize(
    ("needle", "hay", "expected"),
    [
        ("", "abc", (0, 0)),
        ("abc", "", (0, 0)),
        ("xyz", "abc", (0, 0)),
        ("bcd", "abcde", (1, 3)),
        ("ab-cd", "cdxab", (0, 2)),  # the first of the second on a tie
        (("a", "b"), ("x", "a", "b"), (1, 2)),
    ],
)
def test_the_longest_common_run(needle: str, hay: str, expected: tuple[int, int]) -> None:
    assert longest_common_run(needle, hay) == expected


@settings(deadline=None)
@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_no_common_run_is_longer_and_none_as_long_begins_earlier(needle: str, hay: str) -> None:
    start, length = longest_common_run(needle, hay)
    runs = [
        (-(end - begin), begin)
        for begin in range(len(hay))
        for end in range(begin + 1, len(hay) + 1)
        if hay[begin:end] in needle
    ]
    assert (-length, start) == min(runs, default=(0, 0))


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ("Nieuw York City", "in New York City .", (PARTIAL, "York City")),
        ("New York", "in New York City .", (EXACT, "New York")),
        ("The answer is **Paris** .", "nach Paris und", (PARTIAL, "Paris")),
        ("Paris\nFrance", "in France", (PARTIAL, "France")),
        ("a b x c d", "c d , a b", (PARTIAL, "a b")),  # of equally long runs the first of the answer
        ("b", "ab b", (EXACT, "b")),
        ("서울", "서울에서 왔다", (Outcome.NOT_FOUND, None)),  # words are what spaces separate
        ("北京大学 is it", "他在北京", (PARTIAL, "北京")),
        ("上海和北京大学", "北京大学在上海", (PARTIAL, "北京大学")),
        ("上海-北京", "北京上海", (PARTIAL, "上海")),
        ("東京", "東京と東京", (EXACT, "東京")),
        ("東京 ガーナ", "ガーナ", (Outcome.NOT_FOUND, None)),  # kana do not count once there is Han
        ("ガーナ", "ガーナ", (EXACT, "ガーナ")),
        ("", "x", (Outcome.EMPTY, None)),
        (" \n", "x", (Outcome.EMPTY, None)),
        ("x  y", "a  b", (Outcome.NOT_FOUND, None)),
    ],
)
def test_the_official_matcher_does_as_the_released_code(
    answer: str, text: str, expected: tuple[Outcome, str | None]
) -> None:
    assert found(answer, text, official=True) == expected


def test_the_official_span_is_the_first_occurrence_even_inside_a_word() -> None:
    assert match_official("in", "Berlin in") == Match(EXACT, Span(4, 6))
    assert match_official("in", "Berlin in", [Span(4, 6)]) == Match(EXACT, Span(4, 6))


def test_matchers_go_by_their_names() -> None:
    assert matcher("char") is match
    assert matcher("official") is match_official
    with pytest.raises(KeyError):
        matcher("fuzzy")


def test_a_runaway_answer_over_a_long_text_costs_no_seconds() -> None:
    text = "Министр иностранных дел Российской Федерации сообщил " * 100
    began = time.process_time()
    for answer in ("а" * 100_000, text[1:3000].replace("н", "м"), "аб " * 2000, '"' * 50_000, "(" * 50_000, "=" * 5000):
        match(answer, text)
        match_official(answer, text)
    assert time.process_time() - began < 10


def test_only_the_beginning_of_a_runaway_answer_is_read() -> None:
    assert match("x" * LONGEST_ANSWER + "y", "x" * LONGEST_ANSWER) == Match(EXACT, Span(0, LONGEST_ANSWER))


@settings(deadline=None)
@given(TEXTS, TEXTS, st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=3))
def test_whatever_is_found_lies_in_the_text_free_and_whole(
    answer: str, text: str, taken: list[tuple[int, int]]
) -> None:
    spans = [Span(start, start + length) for start, length in taken]
    place = match(answer, text, spans)
    assert (place.span is not None) == (place.outcome in ALIGNED)
    if place.span is not None:
        start, end = place.span.start, place.span.end
        assert 0 <= start < end <= len(text)
        assert not overlaps(place.span, spans)
        assert Kind.LETTER not in (inside_word(text, start), inside_word(text, end))
        assert not cuts_segment(text, start)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_the_official_matcher_only_finds_what_is_there(answer: str, text: str) -> None:
    place = match_official(answer, text)
    if place.span is not None:
        assert text[place.span.start : place.span.end] in answer.replace("\n", " ").replace("**", " ") or " " in answer


@settings(deadline=None)
@given(TEXTS, st.data())
def test_words_copied_from_the_text_are_always_found_in_it(text: str, data: st.DataObject) -> None:
    pieces = list(segments(text))
    assume(pieces)
    first = data.draw(st.integers(0, len(pieces) - 1))
    last = data.draw(st.integers(first, len(pieces) - 1))
    start, end = pieces[first][0], pieces[last][1]
    words = text[start:end]
    assume(words.isalnum())
    assume(Kind.LETTER not in (inside_word(text, start), inside_word(text, end)))
    place = match(words, text)
    assert place.outcome is Outcome.TOO_LONG or (place.outcome is EXACT and place.span is not None)
    assert place.span is None or text[place.span.start : place.span.end] == words
