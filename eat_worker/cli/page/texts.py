"""Texts of corpora and models as pieces of a page: nothing hidden, nothing endless, spans where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eat_worker.cli.terminal import visible
from eat_worker.errors import ConfigurationError
from eat_worker.method.languages import language

LONGEST = 4000  # characters of one text on the page; the database has it whole


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of a text; `tag` is "" outside of entities, `verdict` is right, wrong or missed within."""

    words: str
    tag: str = ""
    verdict: str = ""


def shown(text: str) -> str:
    """The text with control and bidi characters as escapes, line breaks kept, and its end cut off where it is long."""
    return _lines(text[:LONGEST]) + _end(text)


def _lines(text: str) -> str:
    return "\n".join(visible(line) for line in text.split("\n"))


def _end(text: str) -> str:
    return f" … ({len(text) - LONGEST:,} more characters)" if len(text) > LONGEST else ""


def pieces(
    text: str, entities: Sequence[tuple[int, int, str]], others: Sequence[tuple[int, int, str]], verdict: str
) -> list[Piece]:
    """The text cut at its entities, each one `right` when the other side has it too and `verdict` when not."""
    cut: list[Piece] = []
    place = 0
    for start, end, tag in sorted(entities):
        if start < place or end > LONGEST:  # overlapping, or behind what is shown
            continue
        cut.append(Piece(_lines(text[place:start])))
        cut.append(Piece(_lines(text[start:end]), tag, "right" if (start, end, tag) in others else verdict))
        place = end
    cut.append(Piece(_lines(text[place:LONGEST]) + _end(text)))
    return [piece for piece in cut if piece.words]


def direction(lang: str) -> str:
    """`rtl` or `ltr`; `auto` for a language that is not known."""
    try:
        return "rtl" if language(lang).rtl else "ltr"
    except ConfigurationError:
        return "auto"
