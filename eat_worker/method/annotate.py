"""The paper on one page: translate, extract, align, and carry the sentence back. No queue, no database."""

from __future__ import annotations

from dataclasses import dataclass, field

from eat_worker.method.backward import align
from eat_worker.method.config import MethodConfig
from eat_worker.method.direct import ask_directly, placed_entities
from eat_worker.method.document import Alignment, Document, EnglishEntity, RoundOutput, Stage
from eat_worker.method.extract import ask_extractor, parse_entities
from eat_worker.method.forward import SHORTEST, WHOLE_SENTENCE, back_translate, translate, translation_of
from eat_worker.method.prompts import prompt_set
from eat_worker.method.rounds import Ask, Said


@dataclass(slots=True)
class Annotation:
    """What the method made of one document; `rounds` holds everything the model said, in order."""

    english: str | None = None
    english_entities: tuple[EnglishEntity, ...] = ()
    alignments: tuple[Alignment, ...] = ()
    back_translation: str | None = None
    skipped: str | None = None
    rounds: list[RoundOutput] = field(default_factory=list)


def annotate(
    document: Document, ask: Ask, config: MethodConfig, *, session: str, said: Said | None = None
) -> Annotation:
    """The entities of one document, with everything on the way there (eqs. 1-7).

    A sentence below two characters is skipped, not sent to the model. Raises what `ask` raises.
    """
    if len(document.text.strip()) < SHORTEST:
        return Annotation(skipped="skipped_short")
    found, told = Annotation(), said or {}
    prompts = prompt_set(config.prompts)
    if config.method == "direct":
        found.rounds += ask_directly(document.text, config=config, prompts=prompts, session=session, ask=ask, said=told)
        found.alignments = placed_entities(found.rounds[-1].output, document, config)
        return found
    found.rounds += translate(
        document.text, document.lang, config=config, prompts=prompts, session=session, ask=ask, said=told
    )
    found.english = translation_of(found.rounds[-1].output)
    thought = thought_of(found.rounds, config)
    found.rounds += ask_extractor(found.english, config=config, prompts=prompts, session=session, ask=ask, said=told)
    found.english_entities = parse_entities(found.rounds[-1].output, found.english, config.tags)
    found.alignments = align(
        document,
        found.english_entities,
        thought,
        config=config,
        prompts=prompts,
        session=session,
        ask=ask,
        said=told,
        record=found.rounds.append,
    )
    if config.back_translation:
        found.rounds += back_translate(
            found.english, document.lang, config=config, prompts=prompts, session=session, ask=ask, said=told
        )
        found.back_translation = translation_of(found.rounds[-1].output)
    return found


def thought_of(rounds: list[RoundOutput] | tuple[RoundOutput, ...], config: MethodConfig) -> str:
    """The answer of the forward chat's thinking round, empty when the run has none."""
    if config.rounds == 1:
        return ""
    first = (Stage.FORWARD, WHOLE_SENTENCE, 1)
    return next((said.output for said in rounds if (said.stage, said.entity, said.round) == first), "")
