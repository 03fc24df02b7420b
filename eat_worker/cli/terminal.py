"""Text of every script on a terminal: columns that line up, right-to-left words kept in place, nothing hidden.

A wide (CJK) character takes two cells, which rich counts. Right-to-left text is put between U+2068 and U+2069, so that
it cannot turn its neighbours round; control and bidi characters of a corpus are shown as escapes, never obeyed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

FIRST_STRONG_ISOLATE = "\u2068"
POP_ISOLATE = "\u2069"
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_OBEYED = re.compile(f"(?![\\t\\n]){_UNSAFE.pattern}")
# Wide enough that no table is folded: whoever pipes it wants whole lines.
_UNBOUNDED = 10_000


def console(file: TextIO) -> Console:
    """A console that prints text as it is; colours only on a terminal and without NO_COLOR."""
    width = None if file.isatty() else _UNBOUNDED
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False, soft_wrap=not file.isatty())


def visible(text: str) -> str:
    """Control, bidi and other invisible characters as escapes: `\\n`, `\\u202e`."""
    return _UNSAFE.sub(_escape, text)


class Harmless:
    """A terminal as a place for records: line ends and tabs are kept, everything else that it would obey is escaped."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal

    def write(self, data: bytes) -> None:
        """Show whole characters of UTF-8."""
        self._terminal.write(_OBEYED.sub(_escape, data.decode()))

    def flush(self) -> None:
        """Show what was written so far."""
        self._terminal.flush()


def placed(text: str, *, terminal: bool) -> str:
    """`visible` text that keeps its place in a line: on a terminal, right-to-left text is isolated."""
    shown = visible(text)
    if terminal and any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in shown):
        return f"{FIRST_STRONG_ISOLATE}{shown}{POP_ISOLATE}"
    return shown


def table(columns: Mapping[str, str], rows: Sequence[Sequence[str]], *, terminal: bool, title: str = "") -> Table:
    """A table whose columns line up; `columns` maps each heading to left or right."""
    made = Table(
        box=box.SIMPLE_HEAD,
        title=title or None,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading, side in columns.items():
        made.add_column(heading, justify="right" if side == "right" else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(placed(cell, terminal=terminal)) for cell in row))
    return made


def fitting(columns: Mapping[str, str], rows: Sequence[Sequence[str]], spare: Sequence[str], width: int) -> list[str]:
    """The headings that fit into `width` cells, those in `spare` left out one by one until they do."""
    widest = {
        name: max(cell_len(cell) for cell in (name, *column))
        for name, column in zip(columns, zip(*rows, strict=True), strict=True)
    }
    for name in spare:
        if sum(widest.values()) + 2 * (len(widest) - 1) <= width:
            break
        widest.pop(name)
    return list(widest)


def number(value: float | None, digits: int = 1) -> str:
    """A figure for people; a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def duration(seconds: float | None) -> str:
    """`4.2 s`, `3:05 min` or `2:05 h`; a dash where it is unknown."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
