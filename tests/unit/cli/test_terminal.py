"""Text of every script: aligned, isolated, and with nothing invisible in it."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from eat_worker.cli.terminal import console, duration, fitting, number, placed, table, visible


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("서울 東京", "서울 東京"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        ("\ufeffx\u200b", r"\ufeffx\u200b"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष", "क्\u200dष"),
        ("tag \U000e0041", r"tag \U000e0041"),
    ],
)
def test_control_and_bidi_characters_become_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_right_to_left_text_is_isolated_on_a_terminal_only() -> None:
    assert placed("القاهرة", terminal=True) == "\u2068القاهرة\u2069"
    assert placed("القاهرة", terminal=False) == "القاهرة"
    assert placed("Cairo", terminal=True) == "Cairo"


def test_columns_line_up_under_wide_and_right_to_left_words() -> None:
    stream = Tty()
    rows = [["東京", "|"], ["القاهرة", "|"], ["Oslo", "|"], ["서울특별시", "|"]]
    output = console(stream)
    output.print(table({"words": "left", "end": "left"}, rows, terminal=True))
    lines = [line for line in stream.getvalue().splitlines() if "|" in line]
    assert [cell_len(line.split("|")[0]) for line in lines] == [12, 12, 12, 12]


def test_elsewhere_no_line_is_folded_and_nothing_is_coloured() -> None:
    stream = io.StringIO()
    console(stream).print(table({"words": "left"}, [["x" * 500]], terminal=False, title="T"))
    assert "x" * 500 in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Tty()
    console(stream).print("plain", style="red")
    assert stream.getvalue() == "plain\n"


def test_brackets_and_colons_of_a_corpus_are_not_markup() -> None:
    stream = io.StringIO()
    console(stream).print("[red]:smile:[/red]")
    assert stream.getvalue() == "[red]:smile:[/red]\n"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "–"), (0, "0.0 s"), (59.94, "59.9 s"), (185, "3:05 min"), (7500, "2:05 h")]
)
def test_durations_are_short(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_an_undefined_figure_is_a_dash() -> None:
    assert (number(None), number(12.345), number(0.5, 3)) == ("–", "12.3", "0.500")


@pytest.mark.parametrize(
    ("width", "kept"), [(20, ["a", "bb", "c"]), (13, ["a", "bb", "c"]), (12, ["a", "bb"]), (6, ["a"]), (1, ["a"])]
)
def test_spare_columns_go_until_the_others_fit(width: int, kept: list[str]) -> None:
    columns = {"a": "left", "bb": "left", "c": "left"}
    # Cells: 1 for 1, 2 wide characters make 4, and two gaps of 2.
    assert fitting(columns, [["1", "東京", "1234"]], ["c", "bb"], width) == kept
