from __future__ import annotations

import pytest

from eat_worker.corpora.layouts import Layout, Row, detect
from eat_worker.corpora.records import RecordError

KLUE = ["## k-1\t<김:PS> 씨", "김\tB-PS", " \tO", "씨\tO"]
HASHES = ["東\tB-LOC", "京\tI-LOC", "#\tO", "X\tO"]


@pytest.mark.parametrize(
    ("lines", "layout"),
    [
        (["ko:서울\tB-LOC", "ko:은\tO"], Layout("\t", 2, prefix="ko:")),
        (["zh-yue:香港\tB-LOC", "zh-yue:人人\tO"], Layout("\t", 2, prefix="zh-yue:")),
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
        (["ja:東\tB-LOC", "ja:#\tO"], Layout("\t", 2, prefix="ja:", characters=True, hash_blank=True)),
        (["大 _ _ O", "# _ _ O"], Layout(" ", 4, characters=True)),
        (["#\tO"], Layout("\t", 2, characters=True, hash_blank=True)),
        (["New\u00a0York\tB-LOC"], Layout("\t", 2)),
        (["Anna B-PER", "kaputt", "Paul B-PER"], Layout(" ", 2)),
    ],
)
def test_knows_a_layout_by_its_first_lines(lines: list[str], layout: Layout) -> None:
    assert detect(lines) == layout


@pytest.mark.parametrize("lines", [[], [""], ["just some text"], ['{"text": "a"}'], ["a\tb\tc"], ["1\ta\tNOUN"]])
def test_a_file_without_tags_has_no_layout(lines: list[str]) -> None:
    assert detect(lines) is None


@pytest.mark.parametrize(
    ("layout", "line", "row"),
    [
        (Layout("\t", 2), "New\u00a0York\tB-LOC", Row("New\u00a0York", "B-LOC")),
        (Layout("\t", 2), "New York\tB-LOC ", Row("New York", "B-LOC")),
        (Layout("\t", 2), "\tO", Row("", "O")),
        (Layout("\t", 2, characters=True), " \tO", Row(" ", "O")),
        (Layout("\t", 2, characters=True), "\tO", Row(" ", "O")),
        (Layout("\t", 2, characters=True), "#\tO", Row("#", "O")),
        (Layout("\t", 2, characters=True, hash_blank=True), "#\tO", Row(" ", "O")),
        (Layout("\t", 2, prefix="ko:"), "ko:서울\tB-LOC", Row("서울", "B-LOC")),
        (Layout("\t", 2, prefix="ko:"), "ko::\tO", Row(":", "O")),
        (Layout("\t", 2, prefix="ko:"), "없음\tO", Row("없음", "O")),
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
