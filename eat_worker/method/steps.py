"""The steps of the method, written once: what each stage makes of a document and of what is known about it.

A step is one entry of STEPS; which of them a run takes, and in which order, says `MethodConfig.stages`. Knows no queue
and no database: `annotate` takes all steps of a document, a worker one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from eat_worker.method.backward import align
from eat_worker.method.chat import Chat
from eat_worker.method.combine import all_sure, combined, listed_entities
from eat_worker.method.direct import annotate_directly, list_names, recorded_names
from eat_worker.method.document import WHOLE_SENTENCE, Alignment, Document, EnglishEntity, Stage
from eat_worker.method.extract import extract
from eat_worker.method.forward import back_translate, translate
from eat_worker.method.prompts import ListForm

SHORTEST = 2  # characters; a shorter sentence is not sent to the model


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known about a document, or what one step adds to it; a field that no step has set is None."""

    english: str | None = None
    english_entities: tuple[EnglishEntity, ...] | None = None
    alignments: tuple[Alignment, ...] | None = None
    back_translation: str | None = None
    skipped: str | None = None  # why the document ends here without a question, such as skipped_short
    sure: bool | None = None  # whether the names are found and only to be scored

    def with_added(self, added: Findings) -> Findings:
        """These findings and those of the step after them."""
        values = {field.name: getattr(added, field.name) for field in fields(added)}
        return replace(self, **{name: value for name, value in values.items() if value is not None})


Step = Callable[[Document, Findings, Chat], Findings]
"""What one stage adds to what is known. Raises what the chat's `ask` raises."""


def _forward(document: Document, _: Findings, chat: Chat) -> Findings:
    if _is_short(document):
        return Findings(skipped="skipped_short")
    return Findings(english=translate(document, chat))


def _extract(_: Document, known: Findings, chat: Chat) -> Findings:
    return Findings(english_entities=extract(known.english or "", chat))


def _backward(document: Document, known: Findings, chat: Chat) -> Findings:
    ledger = align(document, known.english_entities or (), _thought(chat), chat)
    return Findings(alignments=combined(recorded_names(document, chat), ledger, chat.config))


def _back_translation(document: Document, known: Findings, chat: Chat) -> Findings:
    return Findings(back_translation=back_translate(known.english or "", document.lang, chat))


def _direct(document: Document, _: Findings, chat: Chat) -> Findings:
    if _is_short(document):
        return Findings(skipped="skipped_short")
    config = chat.config
    if config.method == "direct" or chat.prompts.lists is not ListForm.NAMES:
        return Findings(alignments=annotate_directly(document, chat))
    names = list_names(document, chat)
    sure = not config.back_translation and all_sure(names, config)
    return Findings(alignments=tuple(listed_entities(names, config)), sure=sure)


def _is_short(document: Document) -> bool:
    return len(document.text.strip()) < SHORTEST


def _thought(chat: Chat) -> str:
    """The answer of the forward chat's thinking round, empty when the run has none."""
    thought = chat.recorded.get((str(Stage.FORWARD), WHOLE_SENTENCE, 1))
    return thought.output if thought and chat.config.rounds > 1 else ""


STEPS: Mapping[Stage, Step] = {
    Stage.FORWARD: _forward,
    Stage.EXTRACT: _extract,
    Stage.BACKWARD: _backward,
    Stage.BACK_TRANSLATION: _back_translation,
    Stage.DIRECT: _direct,
}
