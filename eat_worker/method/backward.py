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
from eat_worker.method.constraint import REFUSAL, span_of
from eat_worker.method.document import ALIGNED, Alignment, Document, EnglishEntity, Outcome, RoundOutput, Span, Stage
from eat_worker.method.forward import Listed, listed_names
from eat_worker.method.languages import language
from eat_worker.method.matching import Match, covers_too_much, match, matcher, overlaps, trimmed
from eat_worker.method.prompts import ROUND_NAMES, PromptSet
from eat_worker.method.rounds import Ask, Limits, Message, Round, Said, converse
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
    if config.alignment == "constrained":
        return tuple(_constrained(task, entities, ask, said, record))
    return tuple(_free(task, entities, ask, said, record))


def _constrained(
    task: Task, entities: Sequence[EnglishEntity], ask: Ask, said: Said, record: Record
) -> Iterator[Alignment]:
    chat = _Chat(task, ask, said, record)
    taken: list[Span] = []
    for entity in entities:
        if entity.fault is not None:
            yield Alignment(entity, entity.fault)
            continue
        found = _without_model(task, entity, taken) or _bound(chat, entity, taken)
        if found.span is not None:
            taken.append(found.span)
        yield found


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
    """The one alignment chat of a sentence: each entity's question follows the answers for those before it."""

    def __init__(self, task: Task, ask: Ask, said: Said, record: Record) -> None:
        self.task = task
        self._ask, self._said, self._record = ask, said, record
        lang = language(task.document.lang)
        self._language, self._characters = lang.name, lang.by_characters
        self._opening = task.prompts.opening(Stage.BACKWARD, language=lang.name)
        self._history: list[Message] = list(self._opening)

    def bound_answer(self, entity: EnglishEntity, number: int) -> RoundOutput:
        """The words of the text that mean the entity, or the refusal: the answer cannot be anything else."""
        text = self.task.document.text
        name = "next" if len(self._history) > len(self._opening) and number == 1 else "final"
        prompt = self.task.prompts.prompt(Stage.BACKWARD, name, language=self._language, text=text, words=entity.words)
        limits = Limits(self.task.config.final_tokens)
        return self._one(entity, Round(number, prompt, limits, span_of(text, characters=self._characters)))

    def free_answer(self, entity: EnglishEntity, number: int, name: str) -> RoundOutput:
        """What the model says in one free round about the entity."""
        prompt = self.task.prompts.prompt(
            Stage.BACKWARD, name, language=self._language, text=self.task.document.text, words=entity.words
        )
        tokens = self.task.config.final_tokens if name == "final" else self.task.config.locate_tokens
        return self._one(entity, Round(number, prompt, Limits(tokens)))

    def start_again(self) -> None:
        """Forget what was said about other entities (the released code aligns each entity in a chat of its own)."""
        self._history = list(self._opening)

    def _one(self, entity: EnglishEntity, round_: Round) -> RoundOutput:
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
            last=False,
        )
        output = next(outputs)
        self._record(output)
        self._history += [Message("user", round_.prompt.text()), Message("assistant", output.output)]
        return output


def _bound(chat: _Chat, entity: EnglishEntity, taken: Sequence[Span], number: int = 1) -> Alignment:
    output = chat.bound_answer(entity, number)
    found = _placed(output, chat.task.document.text, taken)
    confidence = math.exp(output.logprob) if output.logprob is not None else None
    return Alignment(entity, found.outcome, found.span, "constrained", output.output, confidence)


def _placed(output: RoundOutput, text: str, taken: Sequence[Span]) -> Match:
    """Where a constrained answer stands: it is in the text by construction, so only its place is looked up."""
    answer = output.output
    if answer == REFUSAL and REFUSAL not in text:
        return Match(Outcome.REFUSED)
    if output.finish_reason == "length":
        return Match(Outcome.TRUNCATED)
    at = text.find(answer) if answer else -1
    occupied = False
    while at >= 0:
        span = trimmed(Span(at, at + len(answer)), text)
        if span is not None and not overlaps(span, taken):
            return Match(Outcome.TOO_LONG) if covers_too_much(span, text) else Match(Outcome.EXACT, span)
        occupied = occupied or span is not None
        at = text.find(answer, at + 1)
    return Match(Outcome.AMBIGUOUS if occupied else Outcome.EMPTY)


def _free(task: Task, entities: Sequence[EnglishEntity], ask: Ask, said: Said, record: Record) -> Iterator[Alignment]:
    chat = _Chat(task, ask, said, record)
    find = matcher(task.config.matcher)
    names = ROUND_NAMES[Stage.BACKWARD, task.config.rounds]
    bound_final = task.config.alignment == "free+constrained"
    taken: list[Span] = []
    for entity in entities:
        if entity.fault is not None:
            yield Alignment(entity, entity.fault)
            continue
        chat.start_again()
        for number, name in enumerate(names[:-1], 1):
            chat.free_answer(entity, number, name)
        if bound_final:
            found = _bound(chat, entity, taken, len(names))
        else:
            found = _looked_up(chat.free_answer(entity, len(names), names[-1]), entity, find, task.document.text, taken)
        if found.span is not None:
            taken.append(found.span)
        yield found


def _looked_up(
    output: RoundOutput,
    entity: EnglishEntity,
    find: Callable[[str, str, Sequence[Span]], Match],
    text: str,
    taken: Sequence[Span],
) -> Alignment:
    found = find(output.output, text, taken)
    outcome = found.outcome
    if outcome not in ALIGNED and output.finish_reason == "length":
        outcome = Outcome.TRUNCATED
    elif outcome not in ALIGNED and output.output.strip().strip(".").upper() == REFUSAL:
        outcome = Outcome.REFUSED
    return Alignment(entity, outcome, found.span, "free", output.output.strip())
