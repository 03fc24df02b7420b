"""How often backward alignment gives exactly the right words of held-out pairs.

Each pair is put to the model as the product does it, by `method.backward` itself and in a chat of its own: `bound`, the
answer bound to the text, and `free`, one free answer looked up by the matcher. Names that stand in the text in English
are asked as well, which at work they would not be. Knows pairs and answers; knows no model.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from eat_worker.method.backward import align
from eat_worker.method.chat import Chat
from eat_worker.method.config import MethodConfig
from eat_worker.method.constraint import places_of, units_of
from eat_worker.method.document import Alignment, Document, EnglishEntity, Span, Stage
from eat_worker.method.languages import language
from eat_worker.method.phrases import trimmed
from eat_worker.method.rounds import Ask, Request, RoundResult
from eat_worker.training.eacl.chats import is_asked
from eat_worker.training.eacl.pairs import EaclPair

AnswerAll = Callable[[Sequence[Request]], Sequence[RoundResult]]
"""The answers to many requests, in their order."""

WAYS = {"bound": "free+constrained", "free": "free"}
"""The ways of asking by name, as the setting `alignment` calls them; with one round each is a single question."""


class _NotYetAsked(Exception):  # never leaves this module
    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request


def sample(pairs: Sequence[EaclPair], per_language: int, *, config: MethodConfig, seed: int) -> list[EaclPair]:
    """Up to `per_language` pairs of every language, one per page, that can be asked; the same for the same seed."""
    drawn = sorted(pairs, key=lambda pair: hashlib.sha256(f"{seed}\0{pair.page}\0{pair.english}".encode()).digest())
    asked = replace(config, alignment="constrained")
    counts: Counter[str] = Counter()
    pages: set[str] = set()
    chosen = []
    for pair in drawn:
        if counts[pair.lang] < per_language and pair.page not in pages and is_asked(pair, asked):
            counts[pair.lang] += 1
            pages.add(pair.page)
            chosen.append(pair)
    return sorted(chosen, key=lambda pair: pair.lang)


def accuracy(pairs: Sequence[EaclPair], answer_all: AnswerAll, *, config: MethodConfig) -> dict[str, Any]:
    """Per way of asking: exact answers and pairs in all (`all`), of names that do not begin their sentence (`within`),
    per language, and how the pairs ended.

    {"bound": {"all": {"pairs": 9, "exact": 4}, "within": {...}, "languages": {"ko": {...}}, "outcomes": {"exact": 7}}}
    """
    return {way: _judged(pairs, _alignments(pairs, alignment, answer_all, config)) for way, alignment in WAYS.items()}


def _alignments(
    pairs: Sequence[EaclPair], alignment: str, answer_all: AnswerAll, config: MethodConfig
) -> list[Alignment]:
    # However unsure: what is done with doubtful answers is another question.
    asked = replace(config, alignment=alignment, rounds=1, min_confidence=0.0)
    requests = [_request(pair, asked) for pair in pairs]
    results = answer_all(requests)
    return [_aligned(pair, asked, _saying(result)) for pair, result in zip(pairs, results, strict=True)]


def _saying(result: RoundResult) -> Ask:
    return lambda _: result


def _request(pair: EaclPair, config: MethodConfig) -> Request:
    """The one question that aligning the pair takes."""

    def note(request: Request) -> RoundResult:
        raise _NotYetAsked(request)

    try:
        _aligned(pair, config, note)
    except _NotYetAsked as question:
        return question.request
    raise AssertionError("a chat of its own asks about every entity")


def _aligned(pair: EaclPair, config: MethodConfig, ask: Ask) -> Alignment:
    entity = EnglishEntity(0, pair.english, config.tags[0], Span(0, len(pair.english)))
    chat = Chat(Stage.BACKWARD, config, ask, f"{pair.page}/{pair.english}")
    return align(Document(pair.text, pair.lang), [entity], "", chat)[0]


def _judged(pairs: Sequence[EaclPair], alignments: Sequence[Alignment]) -> dict[str, Any]:
    # Most names of the corpus begin their sentence: "the first words" would be right for them.
    within = {"pairs": 0, "exact": 0}
    languages: dict[str, dict[str, int]] = {}
    outcomes: Counter[str] = Counter()
    for pair, alignment in zip(pairs, alignments, strict=True):
        right = right_span(pair)
        counted = [languages.setdefault(pair.lang, {"pairs": 0, "exact": 0})]
        if right is not None and right.start > 0:
            counted.append(within)
        for counts in counted:
            counts["pairs"] += 1
            counts["exact"] += alignment.span == right
        outcomes[str(alignment.outcome)] += 1
    total = {name: sum(counts[name] for counts in languages.values()) for name in ("pairs", "exact")}
    return {"all": total, "within": within, "languages": languages, "outcomes": dict(outcomes.most_common())}


def right_span(pair: EaclPair) -> Span | None:
    """The first place where the pair's words stand in its text as whole units, without punctuation at their ends."""
    assert pair.words is not None  # is_asked
    units = units_of(pair.text, characters=language(pair.lang).by_characters)
    place = next(places_of(pair.words, units), None)
    return None if place is None else trimmed(place, pair.text)
