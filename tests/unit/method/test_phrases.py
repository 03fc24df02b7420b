from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eat_worker.method.document import Span
from eat_worker.method.phrases import in_explanation, in_full, trimmed


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("", []),
        ("  \n ", []),
        ("?!", []),
        ("서울", ["서울"]),
        ("서울.", ["서울.", "서울"]),
        ("«Газпром»", ["Газпром"]),
        ('**"Berlin"**', ["Berlin"]),
        ('ОАО "Газпром"', ['ОАО "Газпром"']),
        ("\u200fالقاهرة\u200e", ["القاهرة"]),
        ("Фишлер, Патрик", ["Фишлер, Патрик", "Патрик Фишлер"]),
        ("Paris, Texas, USA", ["Paris, Texas, USA"]),
        ("Бордо (город)", ["Бордо (город)", "Бордо"]),
        ("（株）トヨタ", ["（株）トヨタ", "トヨタ"]),
        ("Kim (the elder) Min", ["Kim (the elder) Min", "Kim Min"]),
        ("The words are:\n\n서울", ["서울"]),
        ("서울\nThis is the capital.", ["서울"]),
        ("Answer:", ["Answer"]),
    ],
)
def test_an_answer_is_read_as_one_name(answer: str, expected: list[str]) -> None:
    assert in_full(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("서울", []),
        ('The words are "서울".', ["서울"]),
        ('"Bayern" is "Bayern München"', ["Bayern München", "Bayern"]),
        ("Seoul (서울)", ["서울"]),
        ("Seoul = 서울", ["서울", "Seoul"]),
        ("Answer: 서울", ["서울", "Answer"]),
        ("Cairo → القاهرة", ["القاهرة", "Cairo"]),
        ("Cologne - Köln", ["Köln", "Cologne"]),
        ("**Москва** is the capital", ["Москва"]),
        ("「東京」です", ["東京"]),
        ("`北京` „Köln“ «Рим» “Oslo” 『本』", ["本", "Oslo", "Рим", "Köln", "北京"]),
        ('"서울" (capital): "부산"', ["부산", "서울", "capital", '"서울" (capital)']),
        ('""', []),
    ],
)
def test_names_are_found_inside_an_explanation_the_last_first(answer: str, expected: list[str]) -> None:
    assert in_explanation(answer) == expected


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        ("Ich wohne in Berlin.", "Berlin.", "Berlin"),
        ("Berlin. Dort wohne ich.", "Berlin.", "Berlin"),
        ("Acme Inc. said no", "Acme Inc.", "Acme Inc."),
        ("Acme Inc., Oslo", "Acme Inc.", "Acme Inc."),
        ("in the U.S.", "U.S.", "U.S."),
        ("Berlin... und", "Berlin...", "Berlin"),
        ("bei Amazon.com.", "Amazon.com.", "Amazon.com"),
        ("Berlin.). und", "Berlin.).", "Berlin"),
        ("თბილისი. ის", "თბილისი.", "თბილისი"),
        ("in Washington (D.C.) today", "Washington (D.C.)", "Washington (D.C.)"),
        ("(서울)", "(서울)", "서울"),
        ("서울)", "서울)", "서울"),
        ("(서울", "(서울", "서울"),
        ("(주)삼성", "(주)삼성", "(주)삼성"),
        ('ОАО "Газпром" и', 'ОАО "Газпром"', 'ОАО "Газпром"'),
        ('"Газпром"', '"Газпром"', "Газпром"),
        ('("Berlin").', '("Berlin").', "Berlin"),
        ('"A" and "B"', '"A" and "B"', '"A" and "B"'),
        ("„Spiegel“", "„Spiegel“", "Spiegel"),
        ("« Le Monde »", "« Le Monde »", "Le Monde"),
        ("《论语》", "《论语》", "论语"),
        (" \u3000서울\u00a0", " \u3000서울\u00a0", "서울"),
        ("\u200fالقاهرة،", "\u200fالقاهرة،", "القاهرة"),
        ("日本。", "日本。", "日本"),
        ("a \u0301b", " \u0301b", "b"),
        ("दिल्ली।", "दिल्ली।", "दिल्ली"),
    ],
)
def test_what_is_around_a_name_is_trimmed(text: str, part: str, expected: str) -> None:
    start = text.index(part)
    inner = trimmed(Span(start, start + len(part)), text)
    assert inner is not None
    assert text[inner.start : inner.end] == expected


@pytest.mark.parametrize("text", ["", " ", "...", '""', "()", "\u200f", ")(", "«»", "))))", "❤\ufe0f"])
def test_nothing_is_left_of_mere_punctuation(text: str) -> None:
    assert trimmed(Span(0, len(text)), text) is None


@settings(deadline=None)
@given(st.text(st.sampled_from("aБ서 .,()\"'«»「」\u200f"), max_size=12), st.data())
def test_a_trimmed_span_lies_in_the_span_and_cannot_be_trimmed_further(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    inner = trimmed(Span(start, end), text)
    if inner is None:
        assert not any(char.isalnum() for char in text[start:end])
    else:
        assert start <= inner.start < inner.end <= end
        assert trimmed(inner, text) == inner
        assert any(char.isalnum() for char in text[start:end])
