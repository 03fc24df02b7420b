"""From a model's answer to a span of the text: the matchers `char` (ours) and `official` (as the released code).

Knows strings only. Spans are [start, end) in code points of the raw text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

from eat_worker.method.document import Outcome, Span
from eat_worker.method.phrases import in_explanation, in_full, trimmed
from eat_worker.method.views import View, composed, cuts_segment, fold, folded
from eat_worker.method.wordforms import Kind, inside_word, kind_of, likeness, only_particles, word_around, words_of

Run = TypeVar("Run", str, tuple[str, ...])

Matcher = Callable[[str, str, Sequence[Span]], "Match"]
"""(answer, text, spans already taken by other entities) -> Match"""

MOST_OF_A_SENTENCE = 0.6  # an answer above this share of a text of several clauses names no entity
LONGEST_ANSWER = 4000  # characters that are read of an answer: a runaway one must not cost seconds
# A point behind one or two letters abbreviates ("St. Louis").
_CLAUSE = re.compile(r"(?:[,;:!?]|(?<!\b\w)(?<!\b\w\w)\.)+(?=\s|$)|[…、。，；：！？।،؛؟]+")
_TITLE_WORDS, _TITLE_SYLLABLES = 4, 7  # up to so many a text is a title ("Paris, Texas"), not clauses
_GAP = re.compile(r"[\s’'·・.‐–-]{1,3}")  # what may stand between two words of one name
_HAN = re.compile("[\u4e00-\u9fa5]+")  # what the released code takes for Chinese


@dataclass(frozen=True, slots=True)
class Match:
    """Where an answer stands in the text; `span` is None where `outcome` is no alignment."""

    outcome: Outcome
    span: Span | None = None


def matcher(name: str) -> Matcher:
    """The matcher `char` or `official`."""
    return {"char": match, "official": match_official}[name]


def match(answer: str, text: str, taken: Sequence[Span] = ()) -> Match:
    """The span that `answer` names in `text`: exact, then normalised, then inflected, then in part.

    The first occurrence not overlapping `taken` wins, those on word boundaries first; no span takes a word of a
    spaced script apart. Otherwise EMPTY, NOT_FOUND, AMBIGUOUS (every occurrence is taken) or TOO_LONG (most of a text
    of several clauses).
    """
    answer = answer[:LONGEST_ANSWER]
    if not in_full(answer):
        return Match(Outcome.EMPTY)
    page, failure = _Page(text), Outcome.NOT_FOUND
    for outcome, find, phrases_in in _SEARCHES:
        if outcome is Outcome.PARTIAL and failure is not Outcome.NOT_FOUND:
            break
        for span in (span for phrase in phrases_in(answer) for span in find(phrase, page)):
            if overlaps(span, taken):
                failure = Outcome.AMBIGUOUS if failure is Outcome.NOT_FOUND else failure
            elif covers_too_much(span, text):
                failure = Outcome.TOO_LONG
            else:
                return Match(outcome, span)
    return Match(failure)


def overlaps(span: Span, taken: Iterable[Span]) -> bool:
    """Whether `span` shares a code point with any of `taken`."""
    return any(span.start < other.end and other.start < span.end for other in taken)


def covers_too_much(span: Span, text: str) -> bool:
    """Whether the span is most of a text that has more than one clause."""
    if span.end - span.start <= MOST_OF_A_SENTENCE * len(text.strip()) or _is_title(text):
        return False
    return sum(1 for clause in _CLAUSE.split(text) if clause.strip()) > 1


def _is_title(text: str) -> bool:
    words = sum(1 for word in text.split() if any(char.isalnum() for char in word))
    syllables = sum(1 for char in text if char.isalnum() and kind_of(char) is not Kind.LETTER)
    return words <= _TITLE_WORDS and syllables <= _TITLE_SYLLABLES


class _Page:
    """A text in the forms in which it is searched, each made when a search first needs it."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def composed(self) -> View:
        return composed(self.text)

    @cached_property
    def folded(self) -> View:
        return folded(self.text)

    @cached_property
    def words(self) -> list[tuple[Span, View]]:
        """The words that have letters, each with its folded form."""
        views = ((span, folded(self.text[span.start : span.end])) for span in words_of(self.text))
        return [(span, view) for span, view in views if view.text]


def _find_exact(phrase: str, page: _Page) -> Iterator[Span]:
    spans, at = [], page.text.find(phrase)
    while at >= 0:
        end = at + len(phrase)
        if not cuts_segment(page.text, at) and not cuts_segment(page.text, end):
            spans.append(Span(at, end))
        at = page.text.find(phrase, at + 1)
    return _whole_words_first(spans, page.text)


def _find_normalised(phrase: str, page: _Page) -> Iterator[Span]:
    yield from _whole_words_first(page.composed.find_all(composed(phrase).text), page.text)
    yield from _whole_words_first(page.folded.find_all(fold(phrase)), page.text)


def _whole_words_first(spans: Iterable[Span], text: str) -> Iterator[Span]:
    """The spans from the left, those that cut a word last; a spaced script's words are never cut ("in" in "Berlin")."""
    rated = []
    for span in spans:
        inner = trimmed(span, text)
        if inner is None:
            continue
        before, after = inside_word(text, inner.start), inside_word(text, inner.end)
        if Kind.LETTER in (before, after):
            continue
        if after is Kind.HANGUL and only_particles(text[inner.end : word_around(text, inner.end).end]):
            after = None
        rated.append(((before is not None) + (after is not None), inner.start, inner))
    return (inner for _, _, inner in sorted(rated, key=lambda entry: entry[:2]))


def _find_inflected(phrase: str, page: _Page) -> Iterator[Span]:
    """Runs of words of the text that are forms of the phrase's words, the most alike first."""
    wanted = [word for span in words_of(phrase) if (word := fold(phrase[span.start : span.end]))]
    if not wanted or any(char.isalnum() and kind_of(char) is Kind.OPEN for char in phrase):
        return iter(())
    rated = []
    for first in range(len(page.words) - len(wanted) + 1):
        run = page.words[first : first + len(wanted)]
        alike = [likeness(word, view.text) for word, (_, view) in zip(wanted, run, strict=True)]
        if all(closeness for closeness, _ in alike) and _stand_together([span for span, _ in run], page.text):
            (last, view), (_, length) = run[-1], alike[-1]
            end = last.start + view.raw_span(0, length).end
            rated.append((-sum(closeness for closeness, _ in alike), run[0][0].start, end))
    return (Span(start, end) for _, start, end in sorted(rated))


def _stand_together(words: Sequence[Span], text: str) -> bool:
    return all(_GAP.fullmatch(text, one.end, other.start) for one, other in pairwise(words))


def _find_partial(phrase: str, page: _Page) -> Iterator[Span]:
    """The longest run that phrase and text share, if it is at least half of the phrase and more than a syllable."""
    needle = fold(phrase)
    start, length = longest_common_run(needle, page.folded.text)
    run = page.folded.text[start : start + length]
    floor = 4 if any(kind_of(char) is Kind.LETTER for char in run) else 2
    if length < floor:
        return
    for span in page.folded.find_all(run):
        inner = _in_whole_words(span, page.text)
        if inner is not None and 2 * len(fold(page.text[inner.start : inner.end])) >= len(needle):
            yield inner


def _in_whole_words(span: Span, text: str) -> Span | None:
    """The span without the piece of a word at its end, or with all of that word where the piece is most of it."""
    inner = trimmed(span, text)
    if inner is None or inside_word(text, inner.start):
        return None
    cut, word = inside_word(text, inner.end), word_around(text, inner.end)
    if cut is Kind.HANGUL:
        return inner if only_particles(text[inner.end : word.end]) else None
    if cut is not Kind.LETTER:
        return inner if cut is None else None
    is_form = likeness(fold(text[max(word.start, inner.start) : inner.end]), fold(text[word.start : word.end]))[0] > 0
    return Span(inner.start, word.end) if is_form else trimmed(Span(inner.start, max(word.start, inner.start)), text)


_SEARCHES: tuple[tuple[Outcome, Callable[[str, _Page], Iterator[Span]], Callable[[str], list[str]]], ...] = (
    (Outcome.EXACT, _find_exact, in_full),
    (Outcome.NORMALISED, _find_normalised, in_full),
    (Outcome.EXACT, _find_exact, in_explanation),
    (Outcome.NORMALISED, _find_normalised, in_explanation),
    (Outcome.INFLECTED, _find_inflected, in_full),
    (Outcome.PARTIAL, _find_partial, in_full),
)


def longest_common_run(needle: Run, hay: Run) -> tuple[int, int]:
    """(start in `hay`, length) of the longest run of items both share, the first of `hay` on a tie; (0, 0) for none.

    A run of n items holds runs of n - 1, so the length is found by bisection: seconds become milliseconds.
    """
    start, low, high = 0, 0, min(len(needle), len(hay))
    while low < high:
        length = (low + high + 1) // 2
        runs = {needle[at : at + length] for at in range(len(needle) - length + 1)}
        shared = next((at for at in range(len(hay) - length + 1) if hay[at : at + length] in runs), None)
        if shared is None:
            high = length - 1
        else:
            start, low = shared, length
    return start, low


def match_official(answer: str, text: str, _taken: Sequence[Span] = ()) -> Match:
    """As the released code: longest common run of Han characters if the answer has any, else of words; first place.

    Han is U+4E00 to U+9FA5 there, and words are whatever spaces separate, in the answer also line breaks and "**". Of
    equally long runs the first of the answer is taken. Which places are taken plays no part there.
    """
    answer = answer[:LONGEST_ANSWER]
    if not answer.strip():
        return Match(Outcome.EMPTY)
    if _HAN.search(answer):
        found = max((_shared_run(run, text) for run in _HAN.findall(answer)), key=len)
    else:
        words = tuple(word for word in answer.replace("\n", " ").replace("**", " ").split(" ") if word)
        found = " ".join(_shared_run(words, tuple(text.split(" "))))
    if not found:
        return Match(Outcome.NOT_FOUND)
    at = text.find(found)
    return Match(Outcome.EXACT if found == answer.strip() else Outcome.PARTIAL, Span(at, at + len(found)))


def _shared_run(answer: Run, text: Run) -> Run:
    start, length = longest_common_run(text, answer)
    return answer[start : start + length]
