"""Backward alignment: each English entity back to its exact words in the text (eqs. 5-7), and the alignment ledger.

Free rounds (locate, verify, final) end in a string that a matcher looks up in the text; a constrained round can only
say words of the text. Before any round, two cheap sources are read: English words that stand in the text as they are
(copy), and the pairs the thinking round of the forward chat wrote down (list). All entities of a sentence share one
chat. Knows no model, queue or database.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from eat_worker.method.chat import Chat
from eat_worker.method.constraint import places_of, span_of
from eat_worker.method.document import ALIGNED, Alignment, Document, EnglishEntity, Outcome, RoundOutput, Span
from eat_worker.method.forward import Listed, listed_names
from eat_worker.method.languages import language
from eat_worker.method.matching import Match, Matcher, covers_too_much, match, matcher, overlaps
from eat_worker.method.phrases import trimmed
from eat_worker.method.prompts import ROUND_NAMES
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
    """What is sure without the model takes its words first; the model is asked about the rest, in order."""
    ledger: dict[int, Alignment] = {}
    taken: list[Span] = []
    for entity in entities:
        if (sure := _without_model(questions.document.text, entity, listed, taken)) is not None:
            ledger[entity.index] = _noted(sure, taken)
    asked = [entity for entity in entities if entity.index not in ledger]
    for entity in asked:
        found = _bound(questions, entity, taken, last=entity is asked[-1])
        ledger[entity.index] = _noted(found, taken)
    return ledger


def _noted(found: Alignment, taken: list[Span]) -> Alignment:
    if found.span is not None:
        taken.append(found.span)
    return found


def _without_model(
    text: str, entity: EnglishEntity, listed: Sequence[Listed], taken: Sequence[Span]
) -> Alignment | None:
    """The alignment that needs no question: the English words stand in the text, or the thinking round named theirs."""
    for via, mention in _known_mentions(entity, listed):
        found = match(mention, text, taken)
        if found.outcome in (Outcome.EXACT, Outcome.NORMALISED):
            return Alignment(entity, found.outcome, found.span, via, mention)
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


def _bound(
    questions: _Questions, entity: EnglishEntity, taken: Sequence[Span], number: int = 1, *, last: bool
) -> Alignment:
    output = questions.bound_answer(entity, number, last=last)
    found = _projected(output, questions.constraint, questions.document.text, taken)
    confidence = _confidence(output)
    if found.span is not None and confidence is not None and confidence < questions.chat.config.min_confidence:
        found = Match(Outcome.UNSURE)
    return Alignment(entity, found.outcome, found.span, "constrained", output.output, confidence)


def _confidence(output: RoundOutput) -> float | None:
    """The geometric mean of the probabilities of the answer's tokens: comparable between long and short answers."""
    if output.logprob is None:
        return None
    # A sum of rounded logarithms may lie a hair above zero.
    return math.exp(min(output.logprob, 0.0) / max(output.generated_tokens, 1))


def _projected(output: RoundOutput, constraint: SpanConstraint, text: str, taken: Sequence[Span]) -> Match:
    """Where a constrained answer stands: it is in the text by construction, so only its place is looked up."""
    answer = output.output
    if answer == REFUSAL and REFUSAL not in text:
        return Match(Outcome.REFUSED)
    if output.finish_reason == "length":
        return Match(Outcome.TRUNCATED)
    places = list(places_of(answer, constraint.units))
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
    *thinking, final = ROUND_NAMES[questions.chat.stage, config.rounds]
    ledger: dict[int, Alignment] = {}
    taken: list[Span] = []
    for entity in entities:
        questions.start_again()
        for number, name in enumerate(thinking, 1):
            questions.free_answer(entity, number, name, last=False)
        number, last = len(thinking) + 1, entity is entities[-1]
        if config.alignment == "free+constrained":
            found = _bound(questions, entity, taken, number, last=last)
        else:
            answer = questions.free_answer(entity, number, final, last=last)
            found = _looked_up(answer, entity, find, questions.document.text, taken)
        ledger[entity.index] = _noted(found, taken)
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
