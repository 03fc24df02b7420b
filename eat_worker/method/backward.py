"""Backward alignment: each English entity back to its exact words in the text (eqs. 5-7), and the alignment ledger.

Free rounds (locate, verify, final) end in a string that a matcher looks up in the text; a constrained round can only
say words of the text. Before any round, two cheap sources are read: English words that stand in the text as they are
(copy), and the pairs the thinking round of the forward chat wrote down (list). All entities of a sentence share one
chat. Knows no model, queue or database.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from eat_worker.method.config import MethodConfig
from eat_worker.method.constraint import places_of, span_of
from eat_worker.method.document import ALIGNED, Alignment, Document, EnglishEntity, Outcome, RoundOutput, Span, Stage
from eat_worker.method.forward import Listed, listed_names
from eat_worker.method.languages import language
from eat_worker.method.matching import Match, Matcher, covers_too_much, match, matcher, overlaps
from eat_worker.method.phrases import trimmed
from eat_worker.method.prompts import ROUND_NAMES, PromptSet
from eat_worker.method.rounds import REFUSAL, Ask, Limits, Message, Round, Said, SpanConstraint, converse
from eat_worker.method.views import fold

Record = Callable[[RoundOutput], None]
"""Called with each round's output as it arrives."""


@dataclass(frozen=True, slots=True)
class Task:
    """One sentence to align: its document, what the thinking round listed, and how to ask."""

    document: Document
    listed: Sequence[Listed]
    config: MethodConfig
    prompts: PromptSet
    session: str


def align(
    document: Document,
    entities: Sequence[EnglishEntity],
    thought: str,
    *,
    config: MethodConfig,
    prompts: PromptSet,
    session: str,
    ask: Ask,
    said: Said,
    record: Record,
) -> tuple[Alignment, ...]:
    """The alignment ledger of one document: every English entity with exactly one outcome, in order.

    `thought` is the answer of the forward chat's thinking round, empty when there was none.
    """
    task = Task(document, listed_names(thought), config, prompts, session)
    usable = [entity for entity in entities if entity.fault is None]
    work = _constrained if config.alignment == "constrained" else _free
    ledger = work(task, usable, _Chat(task, ask, said, record))
    faults = {entity.index: Alignment(entity, entity.fault) for entity in entities if entity.fault is not None}
    return tuple((ledger | faults)[entity.index] for entity in entities)


def _constrained(task: Task, entities: Sequence[EnglishEntity], chat: _Chat) -> dict[int, Alignment]:
    """What is sure without the model takes its words first; the model is asked about the rest, in order."""
    ledger: dict[int, Alignment] = {}
    taken: list[Span] = []
    for entity in entities:
        if (sure := _without_model(task, entity, taken)) is not None:
            ledger[entity.index] = _noted(sure, taken)
    asked = [entity for entity in entities if entity.index not in ledger]
    for entity in asked:
        found = _bound(chat, entity, taken, last=entity is asked[-1])
        ledger[entity.index] = _noted(found, taken)
    return ledger


def _noted(found: Alignment, taken: list[Span]) -> Alignment:
    if found.span is not None:
        taken.append(found.span)
    return found


def _without_model(task: Task, entity: EnglishEntity, taken: Sequence[Span]) -> Alignment | None:
    """The alignment that needs no question: the English words stand in the text, or the thinking round named theirs."""
    text = task.document.text
    for via, words in _known_words(task, entity):
        found = match(words, text, taken)
        if found.outcome in (Outcome.EXACT, Outcome.NORMALISED):
            return Alignment(entity, found.outcome, found.span, via, words)
    return None


def _known_words(task: Task, entity: EnglishEntity) -> Iterator[tuple[str, str]]:
    yield "copy", entity.words
    wanted = fold(entity.words)
    for listed in task.listed:
        if fold(listed.english) == wanted:
            yield "list", listed.words


class _Chat:
    """The one alignment chat of a sentence: each entity's question follows the answers for those before it.

    `words_of_text` is what a bound answer can be.
    """

    def __init__(self, task: Task, ask: Ask, said: Said, record: Record) -> None:
        self.task = task
        self._ask, self._said, self._record = ask, said, record
        lang = language(task.document.lang)
        self._language = lang.name
        self.words_of_text = span_of(task.document.text, characters=lang.by_characters)
        self._opening = task.prompts.opening(Stage.BACKWARD, language=lang.name)
        self._history: list[Message] = list(self._opening)

    def bound_answer(self, entity: EnglishEntity, number: int, *, last: bool) -> RoundOutput:
        """The words of the text that mean the entity, or the refusal: the answer cannot be anything else."""
        text = self.task.document.text
        begun = len(self._history) > len(self._opening)
        name = "final" if number > 1 else "next" if begun else "only"
        prompt = self.task.prompts.prompt(Stage.BACKWARD, name, language=self._language, text=text, words=entity.words)
        limits = Limits(self.task.config.final_tokens)
        return self._one(entity, Round(number, prompt, limits, self.words_of_text), last=last)

    def free_answer(self, entity: EnglishEntity, number: int, name: str, *, last: bool) -> RoundOutput:
        """What the model says in one free round about the entity."""
        prompt = self.task.prompts.prompt(
            Stage.BACKWARD, name, language=self._language, text=self.task.document.text, words=entity.words
        )
        tokens = self.task.config.final_tokens if name in ("final", "only") else self.task.config.locate_tokens
        return self._one(entity, Round(number, prompt, Limits(tokens)), last=last)

    def start_again(self) -> None:
        """Forget what was said about other entities (the released code aligns each entity in a chat of its own)."""
        self._history = list(self._opening)

    def _one(self, entity: EnglishEntity, round_: Round, *, last: bool) -> RoundOutput:
        outputs = converse(
            self._history,
            [round_],
            stage=Stage.BACKWARD,
            entity=entity.index,
            session=f"{self.task.session}/backward",
            ask=self._ask,
            said=self._said,
            shared=len(self._opening),
            adapter=str(Stage.BACKWARD) in self.task.config.adapter_stages,
            last=last,
        )
        output = next(outputs)
        self._record(output)
        self._history += [Message("user", round_.prompt.text()), Message("assistant", output.output)]
        return output


def _bound(chat: _Chat, entity: EnglishEntity, taken: Sequence[Span], number: int = 1, *, last: bool) -> Alignment:
    output = chat.bound_answer(entity, number, last=last)
    found = _placed(output, chat.words_of_text, chat.task.document.text, taken)
    confidence = _confidence(output)
    if found.span is not None and confidence is not None and confidence < chat.task.config.min_confidence:
        found = Match(Outcome.UNSURE)
    return Alignment(entity, found.outcome, found.span, "constrained", output.output, confidence)


def _confidence(output: RoundOutput) -> float | None:
    """The geometric mean of the probabilities of the answer's tokens: comparable between long and short answers."""
    if output.logprob is None:
        return None
    # A sum of rounded logarithms may lie a hair above zero.
    return math.exp(min(output.logprob, 0.0) / max(output.generated_tokens, 1))


def _placed(output: RoundOutput, words: SpanConstraint, text: str, taken: Sequence[Span]) -> Match:
    """Where a constrained answer stands: it is in the text by construction, so only its place is looked up."""
    answer = output.output
    if answer == REFUSAL and REFUSAL not in text:
        return Match(Outcome.REFUSED)
    if output.finish_reason == "length":
        return Match(Outcome.TRUNCATED)
    places = list(places_of(answer, words.units))
    spans = [span for place in places if (span := trimmed(place, text)) is not None]
    free = next((span for span in spans if not overlaps(span, taken)), None)
    if free is not None:
        return Match(Outcome.TOO_LONG) if covers_too_much(free, text) else Match(Outcome.EXACT, free)
    if spans:
        return Match(Outcome.AMBIGUOUS)
    return Match(Outcome.EMPTY if places or not answer.strip() else Outcome.NOT_FOUND)


def _free(task: Task, entities: Sequence[EnglishEntity], chat: _Chat) -> dict[int, Alignment]:
    """Each entity in a chat of its own; only with `free+constrained` is the final answer bound to the text."""
    find = matcher(task.config.matcher)
    *thinking, final = ROUND_NAMES[Stage.BACKWARD, task.config.rounds]
    ledger: dict[int, Alignment] = {}
    taken: list[Span] = []
    for entity in entities:
        chat.start_again()
        for number, name in enumerate(thinking, 1):
            chat.free_answer(entity, number, name, last=False)
        number, last = len(thinking) + 1, entity is entities[-1]
        if task.config.alignment == "free+constrained":
            found = _bound(chat, entity, taken, number, last=last)
        else:
            answer = chat.free_answer(entity, number, final, last=last)
            found = _looked_up(answer, entity, find, task.document.text, taken)
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
