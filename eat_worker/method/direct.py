"""The rival: one call that names the entities of the text itself, in the extractor's format (`--method direct`).

No translation, no alignment chat; the words of the answer are looked up in the text. Knows no model or database.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from eat_worker.method.chat import Chat
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Alignment, Document, Outcome
from eat_worker.method.extract import named_entities
from eat_worker.method.matching import matcher
from eat_worker.method.placement import place_together


def annotate_directly(document: Document, chat: Chat) -> tuple[Alignment, ...]:
    """The ledger of the direct method, which asks one round."""
    round_ = chat.round(1, "final", chat.config.extract_tokens, text=document.text)
    return projected_entities(chat.final_answer(chat.opening(), [round_]).output, document, chat.config)


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
