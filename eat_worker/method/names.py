"""Names in the form that fine-tuned weights answer in: `words (TAG)`, one per line, in the order of the text.

The answer is bound to the text, so every mention is in it, and the order says which occurrence is meant. Each line has
a probability of its own. Knows answers; knows no model, queue or database.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from eat_worker.method.chat import Chat
from eat_worker.method.constraint import names_of, places_of, units_of
from eat_worker.method.document import RoundOutput, Span
from eat_worker.method.languages import language
from eat_worker.method.matching import overlaps
from eat_worker.method.phrases import trimmed
from eat_worker.method.rounds import NamesConstraint


@dataclass(frozen=True, slots=True)
class Named:
    """One line of an answer."""

    mention: str  #: the words as they are in the text
    tag: str
    span: Span  #: where they are in the text
    probability: float | None  #: of the whole line, in [0, 1]; None where the engine does not say


def names_constraint(text: str, lang: str, chat: Chat) -> NamesConstraint:
    """What an answer about `text` may be."""
    return names_of(text, chat.config.tags, characters=language(lang).by_characters)


def named_in(output: RoundOutput, text: str, lang: str) -> tuple[Named, ...]:
    """The names of an answer about `text`, in the order of the text; a last line that was cut off is left out.

    A mention of two characters or more that is in the text again, on its own, is a name there too: a model lists a name
    once.
    """
    units = units_of(text, characters=language(lang).by_characters)
    listed = list(_listed(output, text, units))
    again = _again(listed, units)
    return tuple(sorted([*listed, *again], key=lambda name: name.span.start))


def _listed(output: RoundOutput, text: str, units: tuple[str, ...]) -> Iterator[Named]:
    behind = 0  # where the line before ended
    for line, logprob in zip_longest(output.output.split("\n"), output.line_logprobs):
        words, bracket, tag = (line or "").removesuffix(")").rpartition(" (")
        if not bracket or not (line or "").endswith(")"):
            continue
        place = next((one for one in places_of(words, units) if one.start >= behind), None)
        span = place and trimmed(place, text)
        if place is None or span is None:
            continue
        behind = place.end
        probability = None if logprob is None else math.exp(min(logprob, 0.0))
        yield Named(text[span.start : span.end], tag, span, probability)


def _again(listed: Sequence[Named], units: tuple[str, ...]) -> Iterator[Named]:
    taken = [name.span for name in listed]
    for name in sorted(listed, key=lambda one: -len(one.mention)):  # "New York Times" before "New York"
        for place in places_of(name.mention, units) if len(name.mention) > 1 else ():
            if not overlaps(place, taken):
                taken.append(place)
                yield replace(name, span=place)
