from __future__ import annotations

import pytest

from eat_worker.corpora.layouts import Row
from eat_worker.corpora.surface import positions, put_together, surface, trimmed


def rows(*tokens: str) -> list[Row]:
    return [Row(token, "O") for token in tokens]


@pytest.mark.parametrize(
    ("text", "tokens", "spans"),
    [
        ("Ja, 😀 gut.", ("Ja", ",", "😀", "gut", "."), [(0, 2), (2, 3), (4, 5), (6, 9), (9, 10)]),
        ("a\u00a0\u3000b ", ("a", "b"), [(0, 1), (3, 4)]),
        ("ein  Jahr", ("ein  Jahr",), [(0, 9)]),
        ("ab", ("a", "", "b"), [(0, 1), (1, 1), (1, 2)]),
        ("ab", ("a", "c"), None),
        ("abc", ("a", "b"), None),
        ("a", ("a", "b"), None),
        ("a x b", ("a", "b"), None),
    ],
)
def test_finds_tokens_in_the_given_text(
    text: str, tokens: tuple[str, ...], spans: list[tuple[int, int]] | None
) -> None:
    assert positions(text, rows(*tokens)) == spans


@pytest.mark.parametrize(
    ("tokens", "joined", "text"),
    [
        (("Anna", "geht", "."), False, "Anna geht ."),
        (("東", "京"), True, "東京"),
        (("東京", "タワー"), True, "東京タワー"),
        (("star", "wars", "的", "world"), True, "star wars的world"),
        (("U", "S", "A"), True, "USA"),
        (("約", "10", "kg"), True, "約10 kg"),
        (("a", "", "b"), False, "a b"),
        (("", "a"), False, "a"),
        (("a", " ", "b"), True, "a b"),
    ],
)
def test_puts_tokens_together(tokens: tuple[str, ...], joined: bool, text: str) -> None:
    got, spans = put_together(rows(*tokens), joined=joined)
    assert got == text
    assert tuple(got[start:end] for start, end in spans) == tokens


def test_a_contraction_takes_the_tag_of_its_words() -> None:
    lines = [
        Row("vor", "O", "1"),
        Row("im", "_", "2-4"),
        Row("in", "O", "2"),
        Row("dem", "B-LOC", "3"),
        Row("Herz", "I-LOC", "4"),
        Row("Harz", "I-LOC", "5"),
        Row("ist", "O", "5.1"),
    ]
    assert surface(lines) == [Row("vor", "O", "1"), Row("im", "B-LOC", "2-4"), Row("Harz", "I-LOC", "5")]


def test_tokens_may_be_numbered_from_nought_or_out_of_order() -> None:
    lines = [Row("a", "O", "0"), Row("b", "B-LOC", "9"), Row("c", "O", "3")]
    assert surface(lines) == lines


@pytest.mark.parametrize(
    ("start", "end", "span"), [(0, 3, (1, 2)), (1, 2, (1, 2)), (2, 3, (3, 3)), (0, 5, (1, 4)), (3, 5, (3, 4))]
)
def test_trims_blanks_off_a_span(start: int, end: int, span: tuple[int, int]) -> None:
    assert trimmed(" a b ", start, end) == span
