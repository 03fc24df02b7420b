"""What in a model's answer is the name it gives: without quotes, labels and explanations around it.

Knows how models dress up an answer. Knows nothing of the text in which the name is looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from eat_worker.method.document import Span
from eat_worker.method.views import joins

# Opening and closing marks of one kind; languages disagree on which of the quotes opens.
_PAIRED = ("()（）", "[]【】", "「」", "『』", "《》〈〉", '"“”„«»', "'‘’‚‹›")
_CLOSED = "".join(_PAIRED)
_INVISIBLE = "\u00ad\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_POINTS = ".,;:!?…、。，；：！？।،؛؟`*_-–—"
_BRACKETS = re.compile(r"[(（]([^()（）]*)[)）]")
_QUOTED = re.compile(
    r"\"([^\"]+)\"|“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|「([^「」]+)」|『([^『』]+)』|`([^`]+)`|\*([^*]+)\*"
)
_INITIALS = re.compile(r"\b\w\.\w\.$")
_BETWEEN = re.compile(r"->|=>|→|[=:：]|\s[-–—]\s")


def in_full(answer: str) -> list[str]:
    """The answer as one name, in the forms a title may take: as given, bare, without brackets, turned round.

    Of several lines the first that is not a label for what follows. Empty when it holds no letter or digit.
    """
    line = _line(answer)
    # A final point may belong to the name ("Inc."): the text decides.
    bare = trimmed(Span(0, len(line)), line) or Span(0, 0)
    given = line[bare.start : bare.end] + ("." if line[bare.end : bare.end + 1] == "." else "")
    without = _bare(" ".join(_BRACKETS.sub(" ", line).split()))
    last, comma, first = without.partition(", ")
    turned = f"{first} {last}" if comma and first and "," not in first else ""
    return _distinct([given, line[bare.start : bare.end], without, turned])


def in_explanation(answer: str) -> list[str]:
    """The names that stand inside a longer answer: in quotes, in brackets, beside a colon, an equals sign or an arrow.

    The last first: models repeat the question before they answer it ('The words that mean "Seoul" are "서울".').
    """
    line = _line(answer)
    quoted = [next(filter(None, found)) for found in _QUOTED.findall(line)]
    pieces = [*reversed(quoted), *reversed(_BRACKETS.findall(line)), *reversed(_BETWEEN.split(line))]
    known = in_full(answer)
    return [phrase for phrase in _distinct(_bare(piece) for piece in pieces) if phrase not in known]


def _line(answer: str) -> str:
    lines = [line.strip() for line in answer.split("\n") if line.strip()]
    return next((line for line in lines if not line.endswith((":", "："))), lines[0] if lines else "")


def _bare(words: str) -> str:
    inner = trimmed(Span(0, len(words)), words)
    return words[inner.start : inner.end] if inner else ""


def _distinct(phrases: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(phrase for phrase in phrases if any(char.isalnum() for char in phrase)))


def trimmed(span: Span, text: str) -> Span | None:
    """The span without white space, quotes and punctuation at its ends; None when no letter or digit is left.

    "Washington (D.C.)" and 'ОАО "Газпром"' keep what is opened and closed within them, "Acme Inc." keeps its point
    where the sentence goes on behind it.
    """
    start, end = span.start, span.end
    before = -1
    while start < end and end - start != before:
        before = end - start
        start += _falls_off_left(text, start, end)
        end -= start < end and _falls_off_right(text, start, end)
    return Span(start, end) if any(char.isalnum() for char in text[start:end]) else None


def _falls_off_left(text: str, start: int, end: int) -> bool:
    char = text[start]
    if char not in _CLOSED:
        # A mark that comes first has lost the blank it stood on.
        return char.isspace() or char in _POINTS or char in _INVISIBLE or joins(char)
    closing = next(_partners(char, text, start + 1, end), end)
    return closing >= end - 1


def _falls_off_right(text: str, start: int, end: int) -> bool:
    char = text[end - 1]
    if char == ".":
        return not _abbreviates(text, start, end)
    if char not in _CLOSED:
        return char.isspace() or char in _POINTS or char in _INVISIBLE
    return sum(1 for _ in _partners(char, text, start, end - 1)) % 2 == 0


def _partners(char: str, text: str, start: int, end: int) -> Iterator[int]:
    kind = next(kind for kind in _PAIRED if char in kind)
    return (at for at in range(start, end) if text[at] in kind)


def _abbreviates(text: str, start: int, end: int) -> bool:
    # "U.S." has a point within; behind "Inc." the sentence goes on, behind "Berlin." it does not.
    last = text[start:end].rsplit(maxsplit=1)[-1]
    after = text[end:].lstrip()[:1]
    goes_on = after.islower() or (bool(after) and after in ",;:")
    return bool(_INITIALS.search(last)) or (goes_on and last[0].isupper() and last[-2].isalnum())
