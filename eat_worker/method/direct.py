"""One call that names the entities of the text itself, in the extractor's format (`--method direct`).

No translation, no alignment chat; the words of the answer are looked up in the text. Knows no model or database.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from eat_worker.method.chat import Chat
from eat_worker.method.combine import listed_entities
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import WHOLE_SENTENCE, Alignment, Document, Outcome, Stage
from eat_worker.method.extract import named_entities
from eat_worker.method.matching import matcher
from eat_worker.method.names import Named, named_in, names_constraint
from eat_worker.method.placement import place_together
from eat_worker.method.prompts import ListForm


def annotate_directly(document: Document, chat: Chat) -> tuple[Alignment, ...]:
    """The ledger of the direct method, which asks one round."""
    if chat.prompts.lists is ListForm.NAMES:
        return tuple(listed_entities(list_names(document, chat), chat.config))
    round_ = chat.round(1, "final", chat.config.extract_tokens, text=document.text)
    return projected_entities(chat.final_answer(chat.opening(), [round_]).output, document, chat.config)


def list_names(document: Document, chat: Chat) -> tuple[Named, ...]:
    """The names of the text as the tuned weights list them, in one round."""
    constraint = names_constraint(document.text, document.lang, chat)
    round_ = chat.round(1, "final", chat.config.extract_tokens, constraint, text=document.text)
    return named_in(chat.final_answer(chat.opening(), [round_]), document.text, document.lang)


def recorded_names(document: Document, chat: Chat) -> tuple[Named, ...]:
    """The names that an earlier stage listed; none where the run has no such stage."""
    output = chat.recorded.get((str(Stage.DIRECT), WHOLE_SENTENCE, 1))
    return named_in(output, document.text, document.lang) if output else ()


def projected_entities(answer: str, document: Document, config: MethodConfig) -> tuple[Alignment, ...]:
    """The ledger of a direct answer: each named entity with its place in the text, or why it has none."""
    find = matcher(config.matcher)
    # There is no translation here that the words could be missing from, and not every script has capitals.
    named = [
        replace(entity, unusable=None) if entity.unusable is Outcome.NOT_A_NAME else entity
        for entity in named_entities(answer, config.tags)
    ]
    usable = [entity for entity in named if entity.unusable is None]
    places = place_together([(one.mention, 1.0, partial(find, one.mention, document.text)) for one in usable])
    found = dict(zip((entity.index for entity in usable), places, strict=True))
    ledger, before = [], set[str]()
    for entity in named:
        if entity.unusable is not None:
            ledger.append(Alignment(entity, entity.unusable))
            continue
        place = found[entity.index]
        outcome = Outcome.REPEATED if place.outcome is Outcome.AMBIGUOUS and entity.mention in before else place.outcome
        ledger.append(Alignment(entity, outcome, place.span, "direct", entity.mention))
        before.add(entity.mention)
    return tuple(ledger)
