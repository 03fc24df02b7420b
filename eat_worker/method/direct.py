"""The rival: one call that names the entities of the text itself, in the extractor's format (`--method direct`).

No translation, no alignment chat; the words of the answer are looked up in the text. Knows no model or database.
"""

from __future__ import annotations

from dataclasses import replace

from eat_worker.method.chat import Chat
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Alignment, Document, Outcome, Span
from eat_worker.method.extract import parse_entities
from eat_worker.method.matching import matcher


def annotate_directly(document: Document, chat: Chat) -> tuple[Alignment, ...]:
    """The ledger of the direct method, which asks one round."""
    round_ = chat.round(1, "final", chat.config.extract_tokens, text=document.text)
    return projected_entities(chat.final_answer(chat.opening(), [round_]).output, document, chat.config)


def projected_entities(answer: str, document: Document, config: MethodConfig) -> tuple[Alignment, ...]:
    """The ledger of a direct answer: each named entity with its place in the text, or why it has none."""
    find = matcher(config.matcher)
    taken: list[Span] = []
    ledger = []
    for entity in parse_entities(answer, document.text, config.tags):
        if entity.unusable not in (None, Outcome.NOT_IN_TRANSLATION, Outcome.NOT_A_NAME):
            ledger.append(Alignment(entity, entity.unusable))
            continue
        found = find(entity.mention, document.text, taken)
        if found.span is not None:
            taken.append(found.span)
        # There is no translation here for the words to stand in or to be missing from.
        named = replace(entity, span=None, unusable=None)
        ledger.append(Alignment(named, found.outcome, found.span, "direct", entity.mention))
    return tuple(ledger)
