"""From a model's answer to a span of the text: the matchers `char` (ours) and `official` (as the released code).

Knows strings only. Spans are [start, end) in code points of the raw text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from eat_worker.method.document import Outcome, Span
from eat_worker.method.views import composed, fold, folded

Matcher = Callable[[str, str, Sequence[Span]], "Match"]
"""(answer, text, spans already taken by other entities) -> Match"""

MOST_OF_A_SENTENCE = 0.6  # an answer above this share of a text of several clauses names no entity
SHARED_PREFIX = 0.6  # of the longer word, for two inflected forms of one word
_CLAUSE = re.compile(r"[,.;:!?、。，；：！？।،؛؟]+")
_QUOTES = "\"'“”‘’«»„‚‹›「」『』《》〈〉`*_"
_PUNCTUATION = _QUOTES + " \t\r\n.,;:!?、。，；：！？।،؛؟()（）[]【】-–—"
_BRACKETS = re.compile(r"\s*[(（][^()（）]*[)）]\s*")
_WORD = re.compile(
    r"[^\W_]+(?:[^\W_]|[’'\u0300-\u036f\u064b-\u065f\u0900-\u0963\u200c\u200d·.-](?=\w)|[\u0900-\u0903\u093a-\u094f])*"
)


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

    The first occurrence not overlapping `taken` wins, those on word boundaries first. Otherwise NOT_FOUND, AMBIGUOUS
    (every occurrence is taken), TOO_LONG (most of a text of several clauses) or EMPTY.
    """
    phrases = list(_phrases(answer))
    if not phrases:
        return Match(Outcome.EMPTY)
    occupied = False
    for outcome, find in _SEARCHES:
        for phrase in phrases:
            spans = list(find(phrase, text))
            free = [span for span in spans if not overlaps(span, taken)]
            if free:
                return _guarded(Match(outcome, _on_boundaries_first(free, text)), text)
            occupied = occupied or bool(spans)
        if occupied:
            return Match(Outcome.AMBIGUOUS)
    return Match(Outcome.NOT_FOUND)


def overlaps(span: Span, taken: Iterable[Span]) -> bool:
    """Whether `span` shares a code point with any of `taken`."""
    return any(span.start < other.end and other.start < span.end for other in taken)


def covers_too_much(span: Span, text: str) -> bool:
    """Whether the span is most of a text that has more than one clause."""
    clauses = [clause for clause in _CLAUSE.split(text) if clause.strip()]
    return len(clauses) > 1 and span.end - span.start > MOST_OF_A_SENTENCE * len(text.strip())


def trimmed(span: Span, text: str) -> Span | None:
    """The span without white space, quotes and punctuation at its ends; None when nothing is left."""
    start, end = span.start, span.end
    while start < end and text[start] in _PUNCTUATION:
        start += 1
    while end > start and text[end - 1] in _PUNCTUATION and not _closes_within(text, start, end):
        end -= 1
    return Span(start, end) if start < end else None


def _closes_within(text: str, start: int, end: int) -> bool:
    # "Washington (D.C.)" keeps its bracket, "Corp." keeps its point only when a model wrote neither: brackets decide.
    opening = {")": "(", "）": "（", "]": "["}.get(text[end - 1])
    return opening is not None and text.count(opening, start, end) >= text.count(text[end - 1], start, end)


def _phrases(answer: str) -> Iterator[str]:
    """The answer as given and in the forms a title may take: without quotes, without brackets, names turned round."""
    seen: set[str] = set()
    line = next((line.strip() for line in answer.splitlines() if line.strip()), "")
    bare = line.strip(_PUNCTUATION) if line.strip(_PUNCTUATION) else ""
    without = _BRACKETS.sub(" ", line).strip(_PUNCTUATION)
    last, comma, first = without.partition(", ")
    turned = f"{first} {last}" if comma and first and "," not in first else ""
    for phrase in (line.strip(_QUOTES + " "), bare, without, turned):
        if phrase and any(char.isalnum() for char in phrase) and phrase not in seen:
            seen.add(phrase)
            yield phrase


def _guarded(found: Match, text: str) -> Match:
    if found.span is not None and covers_too_much(found.span, text):
        return Match(Outcome.TOO_LONG)
    return found


def _on_boundaries_first(spans: Sequence[Span], text: str) -> Span:
    def cut_words(span: Span) -> int:
        return _inside_word(text, span.start) + _inside_word(text, span.end)

    return min(spans, key=lambda span: (cut_words(span), span.start))


def _inside_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()


def _find_exact(phrase: str, text: str) -> Iterator[Span]:
    at = text.find(phrase)
    while at >= 0:
        span = Span(at, at + len(phrase))
        if _plausible(span, text):
            yield span
        at = text.find(phrase, at + 1)


def _find_normalised(phrase: str, text: str) -> Iterator[Span]:
    for view, needle in ((composed(text), unicodedata.normalize("NFC", phrase)), (folded(text), fold(phrase))):
        found = False
        for span in view.find_all(needle):
            if _plausible(span, text):
                found = True
                yield span
        if found:
            return


def _plausible(span: Span, text: str) -> bool:
    """A short run of letters in the middle of a word of an alphabet is chance ("in" in "Berlin"), not a name."""
    words = text[span.start : span.end]
    if _compact(words) or len(words) > 3:
        return True
    return not (_inside_word(text, span.start) or _inside_word(text, span.end))


def _compact(words: str) -> bool:
    """Whether every letter carries a syllable or more: Han, kana, Hangul."""
    return all(_is_compact(char) for char in words if char.isalnum())


def _is_compact(char: str) -> bool:
    return (
        "\u1100" <= char <= "\u11ff"
        or "\u2e80" <= char <= "\ud7ff"
        or "\uf900" <= char <= "\ufaff"
        or char >= "\U00020000"
    )


def _find_inflected(phrase: str, text: str) -> Iterator[Span]:
    """Runs of words of the text that share, word by word, most of their beginning with the phrase."""
    wanted = [fold(word.group()) for word in _WORD.finditer(phrase)]
    words = list(_WORD.finditer(text))
    for first in range(len(words) - len(wanted) + 1):
        run = words[first : first + len(wanted)]
        if wanted and all(_same_word(word, fold(found.group())) for word, found in zip(wanted, run, strict=True)):
            yield Span(run[0].start(), run[-1].end())


def _same_word(one: str, other: str) -> bool:
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared += 1
    floor = 2 if _compact(one) else 3
    return one == other or (shared >= floor and shared >= SHARED_PREFIX * max(len(one), len(other)))


def _find_partial(phrase: str, text: str) -> Iterator[Span]:
    """The longest run that phrase and text share, if it is at least half of the phrase and more than a syllable."""
    view, needle = folded(text), fold(phrase)
    start, length = longest_common_run(needle, view.text)
    run = view.text[start : start + length]
    floor = 2 if _compact(run) else 4
    if length < floor or 2 * length < len(needle):
        return
    for span in view.find_all(run):
        inner = trimmed(span, text)
        if inner is not None and (_compact(run) or not _inside_word(text, inner.start)):
            yield inner


_SEARCHES: tuple[tuple[Outcome, Callable[[str, str], Iterator[Span]]], ...] = (
    (Outcome.EXACT, _find_exact),
    (Outcome.NORMALISED, _find_normalised),
    (Outcome.INFLECTED, _find_inflected),
    (Outcome.PARTIAL, _find_partial),
)


def longest_common_run(needle: Sequence[str], hay: Sequence[str]) -> tuple[int, int]:
    """(start in `hay`, length) of the longest run of items both share, the first of `hay` on a tie; (0, 0) for none."""
    best_start, best = 0, 0
    previous = [0] * (len(hay) + 1)
    for item in needle:
        current = [0] * (len(hay) + 1)
        for at, other in enumerate(hay, 1):
            if item == other:
                current[at] = previous[at - 1] + 1
                if current[at] > best or (current[at] == best and at - best < best_start):
                    best_start, best = at - current[at], current[at]
        previous = current
    return best_start, best


def match_official(answer: str, text: str, taken: Sequence[Span] = ()) -> Match:
    """As the released code: longest common run of Han characters if the answer has any, else of words; first place.

    Han is U+4E00 to U+9FA5 there, and words are whatever spaces separate. `taken` is ignored, as it is there.
    """
    if not answer.strip():
        return Match(Outcome.EMPTY)
    if any("\u4e00" <= char <= "\u9fa5" for char in answer):
        units = [char if "\u4e00" <= char <= "\u9fa5" else f"\0{at}" for at, char in enumerate(answer)]
        start, length = longest_common_run(units, text)
        found = text[start : start + length]
    else:
        words = text.split(" ")
        start, length = longest_common_run(answer.split(" "), words)
        found = " ".join(words[start : start + length])
    at = text.find(found)
    if not found.strip():
        return Match(Outcome.NOT_FOUND)
    span = Span(at, at + len(found))
    whole = found == answer
    return Match(Outcome.EXACT if whole else Outcome.PARTIAL, span)
