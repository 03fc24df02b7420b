"""Backward alignment: each English entity back to its exact words in the text (eqs. 5-7), and the alignment ledger.

Free rounds (locate, verify, final) end in a string that a matcher looks up in the text; a constrained round can only
say words of the text. Before any round, two cheap sources are read: English words that stand in the text as they are
(copy), and the pairs the thinking round of the forward chat wrote down (list). All entities of a sentence share one
chat; then all find their places together, the longest first. Knows no model, queue or database.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from eat_worker.method.chat import Chat
from eat_worker.method.constraint import places_of, span_of
from eat_worker.method.document import ALIGNED, Alignment, Document, EnglishEntity, Outcome, RoundOutput, Span
from eat_worker.method.forward import Listed, listed_names
from eat_worker.method.languages import language
from eat_worker.method.matching import Match, Matcher, covers_too_much, match, matcher, overlaps
from eat_worker.method.phrases import trimmed
from eat_worker.method.placement import Find, place_together
from eat_worker.method.rounds import REFUSAL, Message, SpanConstraint
from eat_worker.method.views import fold

_THINKING = ("locate", "verify", "reconsider", "confirm")  # rounds on the way to the final one


def align(document: Document, entities: Sequence[EnglishEntity], thought: str, chat: Chat) -> tuple[Alignment, ...]:
    """The alignment ledger of one document: every English entity with exactly one outcome, in order.

    `thought` is the answer of the forward chat's thinking round, empty when there was none.
    """
    usable = [entity for entity in entities if entity.unusable is None]
    questions = _Questions(document, chat)
    if chat.config.alignment == "constrained":
        ledger = _constrained(questions, usable, listed_names(thought))
    else:
        ledger = _free(questions, usable)
    unusable = {entity.index: Alignment(entity, entity.unusable) for entity in entities if entity.unusable is not None}
    return tuple((ledger | unusable)[entity.index] for entity in entities)


def _constrained(
    questions: _Questions, entities: Sequence[EnglishEntity], listed: Sequence[Listed]
) -> dict[int, Alignment]:
    """The model is asked about what is not sure without it; then all find their places together."""
    sure = {entity.index: known for entity in entities if (known := _without_model(questions, entity, listed))}
    asked = [entity for entity in entities if entity.index not in sure]
    bound = {entity.index: _bound(questions, entity, last=entity is asked[-1]) for entity in asked}
    return _together(entities, sure | bound)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The words that an entity has in the text by an answer, whose they are, and where they can be found."""

    mention: str
    via: str
    find: Find
    confidence: float | None = None

    @property
    def sureness(self) -> float:
        """What needed no model is surest; an answer of which the engine gives no probability is least."""
        return 1.0 if self.via in ("copy", "list") else self.confidence or 0.0


def _together(entities: Sequence[EnglishEntity], answers: Mapping[int, _Answer]) -> dict[int, Alignment]:
    found = [answers[entity.index] for entity in entities]
    wanted = [(one.mention, one.sureness, one.find) for one in found]
    return {
        entity.index: Alignment(entity, place.outcome, place.span, one.via, one.mention, one.confidence)
        for entity, one, place in zip(entities, found, place_together(wanted), strict=True)
    }


def _without_model(questions: _Questions, entity: EnglishEntity, listed: Sequence[Listed]) -> _Answer | None:
    """What needs no question: the English words are in the text, or the thinking round named theirs."""
    text = questions.document.text
    for via, mention in _known_mentions(entity, listed):
        if match(mention, text).outcome in (Outcome.EXACT, Outcome.NORMALISED):
            return _Answer(mention, via, partial(match, mention, text))
    return None


def _known_mentions(entity: EnglishEntity, listed: Sequence[Listed]) -> Iterator[tuple[str, str]]:
    yield "copy", entity.mention
    wanted = fold(entity.mention)
    for one in listed:
        if fold(one.english) == wanted:
            yield "list", one.mention


class _Questions:
    """The alignment chat of a sentence: each entity's question follows the answers for those before it.

    `constraint` is what a bound answer can be.
    """

    def __init__(self, document: Document, chat: Chat) -> None:
        self.document, self.chat = document, chat
        spoken = language(document.lang)
        self.constraint = span_of(document.text, characters=spoken.by_characters)
        self._language = spoken.name
        self._opening = chat.opening(language=spoken.name)
        self._history: list[Message] = []

    def bound_answer(self, entity: EnglishEntity, number: int, *, last: bool) -> RoundOutput:
        """The words of the text that mean the entity, or the refusal: the answer cannot be anything else."""
        name = "final" if number > 1 else "next" if self._history else "only"
        return self._answer(entity, number, name, self.constraint, last=last)

    def free_answer(self, entity: EnglishEntity, number: int, name: str, *, last: bool) -> RoundOutput:
        """What the model answers in one free round about the entity."""
        return self._answer(entity, number, name, None, last=last)

    def start_again(self) -> None:
        """Forget the answers for other entities (the released code aligns each entity in a chat of its own)."""
        self._history = []

    def _answer(
        self, entity: EnglishEntity, number: int, name: str, constraint: SpanConstraint | None, *, last: bool
    ) -> RoundOutput:
        config = self.chat.config
        tokens = config.locate_tokens if name in _THINKING else config.final_tokens
        round_ = self.chat.round(
            number, name, tokens, constraint, language=self._language, text=self.document.text, words=entity.mention
        )
        output = self.chat.final_answer(self._opening, [round_], entity=entity.index, history=self._history, last=last)
        self._history += [Message("user", round_.prompt.text()), Message("assistant", output.output)]
        return output


def _bound(questions: _Questions, entity: EnglishEntity, number: int = 1, *, last: bool) -> _Answer:
    output = questions.bound_answer(entity, number, last=last)
    confidence = _confidence(output)
    if confidence is not None and confidence < questions.chat.config.min_confidence:
        find: Find = partial(_unsure, output, questions)
    else:
        find = partial(_projected, output, questions)
    return _Answer(output.output, "constrained", find, confidence)


def _unsure(output: RoundOutput, questions: _Questions, _: Sequence[Span]) -> Match:
    """Words that the model found improbable take nobody's place."""
    found = _projected(output, questions, ())
    return found if found.span is None else Match(Outcome.UNSURE)


def _confidence(output: RoundOutput) -> float | None:
    """The geometric mean of the probabilities of the answer's tokens: comparable between long and short answers."""
    if output.logprob is None:
        return None
    # A sum of rounded logarithms may lie a hair above zero.
    return math.exp(min(output.logprob, 0.0) / max(output.generated_tokens, 1))


def _projected(output: RoundOutput, questions: _Questions, taken: Sequence[Span]) -> Match:
    """Where a constrained answer is: it is in the text by construction, so only its place is looked up."""
    answer, text = output.output, questions.document.text
    if answer == REFUSAL and REFUSAL not in text:
        return Match(Outcome.REFUSED)
    if output.finish_reason == "length":
        return Match(Outcome.TRUNCATED)
    places = list(places_of(answer, questions.constraint.units))
    spans = [span for place in places if (span := trimmed(place, text)) is not None]
    free = next((span for span in spans if not overlaps(span, taken)), None)
    if free is not None:
        return Match(Outcome.TOO_LONG) if covers_too_much(free, text) else Match(Outcome.EXACT, free)
    if spans:
        return Match(Outcome.AMBIGUOUS)
    return Match(Outcome.EMPTY if places or not answer.strip() else Outcome.NOT_FOUND)


def _free(questions: _Questions, entities: Sequence[EnglishEntity]) -> dict[int, Alignment]:
    """Each entity in a chat of its own; only with `free+constrained` is the final answer bound to the text."""
    config = questions.chat.config
    find = matcher(config.matcher)
    *thinking, final = questions.chat.prompts.round_names(questions.chat.stage, config.rounds)
    ledger: dict[int, Alignment] = {}
    taken: list[Span] = []
    for entity in entities:
        questions.start_again()
        for number, name in enumerate(thinking, 1):
            questions.free_answer(entity, number, name, last=False)
        number, last = len(thinking) + 1, entity is entities[-1]
        if config.alignment == "free+constrained":
            bound = _bound(questions, entity, number, last=last)
            found = Alignment(
                entity, (place := bound.find(taken)).outcome, place.span, bound.via, bound.mention, bound.confidence
            )
        else:
            answer = questions.free_answer(entity, number, final, last=last)
            found = _looked_up(answer, entity, find, questions.document.text, taken)
        ledger[entity.index] = found
        if found.span is not None:
            taken.append(found.span)
    return ledger


def _looked_up(
    output: RoundOutput, entity: EnglishEntity, find: Matcher, text: str, taken: Sequence[Span]
) -> Alignment:
    answer = output.output.strip()
    if answer.strip(".").upper() == REFUSAL and REFUSAL not in text:
        return Alignment(entity, Outcome.REFUSED, via="free", answer=answer)
    found = find(output.output, text, taken)
    cut_off = found.outcome not in ALIGNED and output.finish_reason == "length"
    return Alignment(entity, Outcome.TRUNCATED if cut_off else found.outcome, found.span, "free", answer)
