from __future__ import annotations

import pytest

from eat_worker.corpora.layouts import Layout, Row, detect
from eat_worker.corpora.records import RecordError

KLUE = ["## k-1\t<김:PS> 씨", "김\tB-PS", " \tO", "씨\tO"]
HASHES = ["東\tB-LOC", "京\tI-LOC", "#\tO", "X\tO"]


@pytest.mark.parametrize(
    ("lines", "layout"),
    [
        (["ko:서울\tB-LOC", "ko:은\tO"], Layout("\t", 2, prefixed=True)),
        (["zh-yue:香港\tB-LOC", "zh-yue:人人\tO"], Layout("\t", 2, prefixed=True)),
        (["Anna B-PER", "geht O"], Layout(" ", 2)),
        (["Anna\tB-PER", "geht\tO"], Layout("\t", 2)),
        (["Anna _ _ B-PER", "geht _ _ O"], Layout(" ", 4)),
        (["# id 7\tdomain=dev", "Anna _ _ B-PER", "geht _ _ O"], Layout(" ", 4)),
        (["EU NNP B-NP B-ORG", "rejects VBZ B-VP O"], Layout(" ", 4)),
        (["# text = Anna geht", "1\tAnna\tB-PER\t-\tx", "2\tgeht\tO\t-\t-"], Layout("\t", 3, numbered=True)),
        (["0\tAnna\tB-PER", "1\tgeht\tO"], Layout("\t", 3, numbered=True)),
        (KLUE, Layout("\t", 2, characters=True)),
        (KLUE[:1] + KLUE[1::2], Layout("\t", 2, characters=True)),
        (HASHES, Layout("\t", 2, characters=True, hash_blank=True)),
        (["ja:東\tB-LOC", "ja:#\tO"], Layout("\t", 2, prefixed=True, characters=True, hash_blank=True)),
        (["大 _ _ O", "# _ _ O"], Layout(" ", 4, characters=True)),
        (["#\tO"], Layout("\t", 2, characters=True, hash_blank=True)),
        (["New\u00a0York\tB-LOC"], Layout("\t", 2)),
        (["Anna B-PER", "kaputt", "Paul B-PER"], Layout(" ", 2)),
    ],
)
def test_knows_a_layout_by_its_first_lines(lines: list[str], layout: Layout) -> None:
    assert detect([lines]) == layout


@pytest.mark.parametrize("lines", [[], [""], ["just some text"], ['{"text": "a"}'], ["a\tb\tc"], ["1\ta\tNOUN"]])
def test_a_file_without_tags_has_no_layout(lines: list[str]) -> None:
    assert detect([lines]) is None


@pytest.mark.parametrize(
    ("layout", "line", "row"),
    [
        (Layout("\t", 2), "New\u00a0York\tB-LOC", Row("New\u00a0York", "B-LOC")),
        (Layout("\t", 2), "New York\tB-LOC ", Row("New York", "B-LOC")),
        (Layout("\t", 2), "\tO", Row("", "O")),
        (Layout("\t", 2, characters=True), " \tO", Row(" ", "O")),
        (Layout("\t", 2, characters=True), "#\tO", Row("#", "O")),
        (Layout(" ", 2), "Anna  B-PER", Row("Anna", "B-PER")),
        (Layout(" ", 2), " O", Row("", "O")),
        (Layout(" ", 4), "Anna _ _ B-PER", Row("Anna", "B-PER")),
        (Layout("\t", 3, numbered=True), "7\tAnna\tB-PER\t-\tx", Row("Anna", "B-PER", "7")),
    ],
)
def test_splits_a_line(layout: Layout, line: str, row: Row) -> None:
    assert layout.row(line) == row


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        (Layout("\t", 3, numbered=True), "x\tAnna\tB-PER"),
        (Layout("\t", 3, numbered=True), "9" * 5000 + "\tAnna\tB-PER"),
        (Layout("\t", 3, numbered=True), "\tAnna\tB-PER"),
        (Layout("\t", 2), "Anna"),
        (Layout("\t", 2), "Anna B-PER"),
        (Layout("\t", 2), "Anna\tNNP\tB-PER"),
        (Layout(" ", 4), "Anna B-PER"),
        (Layout(" ", 4), "New York _ _ B-LOC"),
        (Layout("\t", 3, numbered=True), "7\tAnna"),
    ],
)
def test_refuses_a_line_with_other_columns(layout: Layout, line: str) -> None:
    with pytest.raises(RecordError, match=r"columns instead of|is not a token number") as caught:
        layout.row(line)
    assert caught.value.code == "E_COLUMNS"


@pytest.mark.parametrize(
    ("layout", "line", "comment"),
    [
        (Layout(" ", 4), "# id 7\tdomain=dev", True),
        (Layout(" ", 4), "# _ _ O", False),
        (Layout(" ", 4), "#tag _ _ B-CW", False),
        (Layout("\t", 2), "#\tO", False),
        (Layout("\t", 2, characters=True), "## k-1\t<김:PS> 씨", True),
        (Layout("\t", 3, numbered=True), "# text = O", True),
        (Layout(" ", 2), "a O", False),
    ],
)
def test_tells_a_remark_from_the_token_hash(layout: Layout, line: str, comment: bool) -> None:
    assert layout.is_comment(line) is comment


def rows(*tokens: str) -> list[Row]:
    return [Row(token, "O") for token in tokens]


@pytest.mark.parametrize(
    ("layout", "tokens", "lang", "meant"),
    [
        (Layout("\t", 2, prefixed=True), ("ko:서울", "ko::"), "ko", ("서울", ":")),
        (Layout("\t", 2, prefixed=True), ("ja:東",), "ja", ("東",)),
        (Layout("\t", 2), ("re:",), "", ("re:",)),
        (Layout("\t", 2, characters=True), ("", "#", "가"), "", (" ", "#", "가")),
        (Layout("\t", 2, characters=True, hash_blank=True), ("#", "가"), "", (" ", "가")),
        (Layout("\t", 2, characters=True), ("iPhone", "을", "산", "다"), "", ("iPhone", "을", "산", "다")),
    ],
)
def test_tokens_are_what_is_meant(layout: Layout, tokens: tuple[str, ...], lang: str, meant: tuple[str, ...]) -> None:
    assert layout.tokens(rows(*tokens)) == (lang, rows(*meant))


@pytest.mark.parametrize(
    ("layout", "tokens", "told"),
    [
        (Layout("\t", 2, prefixed=True), ("ko:서울", "없음"), "not all tokens carry the same language"),
        (Layout("\t", 2, prefixed=True), ("ko:서울", "ja:東"), "not all tokens carry the same language"),
        (Layout("\t", 2), ("ko:서울", "ko:은"), "all tokens begin with 'ko:'"),
        (Layout("\t", 2, characters=True), ("Anna", "geht", "heim"), "the tokens are words"),
    ],
)
def test_a_sentence_of_another_layout_is_refused(layout: Layout, tokens: tuple[str, ...], told: str) -> None:
    with pytest.raises(RecordError, match=told) as caught:
        layout.tokens(rows(*tokens))
    assert caught.value.code == "E_LAYOUT"


STRAY = [
    ["just a stray line"],
    ["П O", "р O", "и O"],
    [f"{letter}\tO" for letter in "ПРИВЕТ" * 200],
]


@pytest.mark.parametrize("stray", STRAY, ids=["stray line", "single letters", "endless first sentence"])
@pytest.mark.parametrize(
    ("sentence", "layout"),
    [
        (["ru:Анна\tB-PER", "ru:спит\tO"], Layout("\t", 2, prefixed=True)),
        (["Анна\tB-PER", "спит\tO"], Layout("\t", 2)),
        (["東\tB-LOC", "#\tO", "京\tO", " \tO"], Layout("\t", 2, characters=True, hash_blank=False)),
        (["東\tB-LOC", "#\tO", "京\tO"], Layout("\t", 2, characters=True, hash_blank=True)),
    ],
)
def test_one_bad_beginning_does_not_decide(stray: list[str], sentence: list[str], layout: Layout) -> None:
    assert detect([stray, *[sentence] * 20]) == layout
