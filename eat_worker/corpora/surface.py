"""From tokens back to the text: where each token stands, and how tokens are put together where no text is given.

Knows tokens and code points; knows no file and no gold.
"""

from __future__ import annotations

from collections.abc import Sequence

from eat_worker.corpora.layouts import Row


def surface(rows: list[Row]) -> list[Row]:
    """The tokens as written: a range line (7-8, im) stands for its words (in, dem) and takes the first tag of theirs.

    Words that are not written at all (8.1) are left out.
    """
    written: list[Row] = []
    covered = range(0)  # the words that the range line stands for
    for row in rows:
        if "." in row.number:
            continue
        first, dash, last = row.number.partition("-")
        if dash:
            covered = range(int(first), int(last) + 1)
            written.append(row._replace(tag="O"))
        elif int(first) not in covered:
            written.append(row)
        elif written[-1].tag == "O":
            written[-1] = written[-1]._replace(tag=row.tag)
    return written


def positions(text: str, rows: Sequence[Row]) -> list[tuple[int, int]] | None:
    """Where each token stands in the text; None when they are not the text with blanks between them."""
    spans = []
    end = 0
    for row in rows:
        start = end
        while not text.startswith(row.token, start):
            if start >= len(text) or not text[start].isspace():
                return None
            start += 1
        end = start + len(row.token)
        spans.append((start, end))
    return None if text[end:].strip() else spans


def put_together(rows: Sequence[Row], *, joined: bool) -> tuple[str, list[tuple[int, int]]]:
    """The tokens put together, and where each stands: with blanks, or where the script has none, without."""
    parts: list[str] = []
    spans = []
    end = 0
    before = ""
    for row in rows:
        token = row.token
        if before and token and (not joined or _needs_blank(before, token)):
            parts.append(" ")
            end += 1
        parts.append(token)
        spans.append((end, end + len(token)))
        end += len(token)
        before = token or before
    return "".join(parts), spans


def _needs_blank(before: str, token: str) -> bool:
    """Two words of Latin letters or digits in a script without blanks; single characters of a word stay together."""
    if len(before) == len(token) == 1:
        return False
    pair = before[-1] + token[0]
    return pair.isascii() and pair.isalnum()


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without the blanks at its ends; empty when there is nothing else."""
    words = text[start:end]
    start += len(words) - len(words.lstrip())
    return start, start + len(words.strip())
