"""The paper on one page: translate, extract, align, and carry the sentence back. No queue, no database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eat_worker.method.chat import Chat, by_key
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Alignment, Document, EnglishEntity, RoundOutput
from eat_worker.method.rounds import Ask
from eat_worker.method.steps import STEPS, Findings


@dataclass(frozen=True, slots=True)
class Annotation:
    """What the method made of one document; `rounds` holds every answer of the model, in order."""

    english: str | None = None
    english_entities: tuple[EnglishEntity, ...] = ()
    alignments: tuple[Alignment, ...] = ()
    back_translation: str | None = None
    skipped: str | None = None
    rounds: tuple[RoundOutput, ...] = ()


def annotate(
    document: Document, ask: Ask, config: MethodConfig, *, session: str, recorded: Iterable[RoundOutput] = ()
) -> Annotation:
    """The entities of one document, with everything on the way there (eqs. 1-7).

    Rounds that are `recorded` are not asked again. A sentence below two characters is skipped, not sent to the model.
    Raises what `ask` raises.
    """
    rounds, found = list(recorded), Findings()
    stage = config.stages()[0]
    while stage in STEPS and found.skipped is None:
        chat = Chat(stage, config, ask, session, by_key(rounds), rounds.append)
        added = STEPS[stage](document, found, chat)
        found = found.with_added(added)
        stage = config.stage_after(stage, sure=bool(added.sure))
    return Annotation(
        english=found.english,
        english_entities=found.english_entities or (),
        alignments=found.alignments or (),
        back_translation=found.back_translation,
        skipped=found.skipped,
        rounds=tuple(rounds),
    )
