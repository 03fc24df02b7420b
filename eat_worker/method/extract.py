"""English entities from the extractor's answer: `(PER, Ann) (LOC, Oslo)` (eq. 4).

Nothing an extractor answers is dropped in silence: what cannot be used becomes an entity that says why (`unusable`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from eat_worker.method.chat import Chat
from eat_worker.method.document import EnglishEntity, Outcome, Span
from eat_worker.method.names import named_in, names_constraint
from eat_worker.method.prompts import ListForm


def extract(english: str, chat: Chat) -> tuple[EnglishEntity, ...]:
    """The English entities, named in one round.

    The extractor `chat` is the same model, shown a few worked examples or fine-tuned; any other reads the sentence and
    nothing else. Answers are in the paper's text format or, where the prompt set lists names, one name per line.
    """
    config = chat.config
    by_chat = config.extractor == "chat"
    names = by_chat and chat.prompts.lists is ListForm.NAMES
    constraint = names_constraint(english, "en", chat) if names else None
    round_ = chat.round(1, "final" if by_chat else "text", config.extract_tokens, constraint, english=english)
    answer = chat.final_answer(chat.opening() if by_chat else (), [round_])
    if names:
        found = enumerate(named_in(answer, english, "en"))
        return tuple(EnglishEntity(index, name.mention, name.tag, name.span) for index, name in found)
    return parse_entities(answer.output, english, config.tags)


def parse_entities(answer: str, english: str, tags: Sequence[str]) -> tuple[EnglishEntity, ...]:
    """The entities that `answer` names, with their place in `english`.

    The n-th time a mention is named it gets its n-th place in the sentence; without a place of its own it is REPEATED.
    """
    entities: list[EnglishEntity] = []
    places: dict[str, int] = {}
    for entity in named_entities(answer, tags):
        mention = entity.mention
        if entity.unusable is not None:
            entities.append(entity)
        elif (start := _find(english, mention, places.get(mention, 0))) >= 0:
            places[mention] = start + len(mention)
            entities.append(replace(entity, span=Span(start, start + len(mention))))
        else:
            why = Outcome.REPEATED if mention in places else Outcome.NOT_IN_TRANSLATION
            entities.append(replace(entity, unusable=why))
    return tuple(entities)


def named_entities(answer: str, tags: Sequence[str]) -> Iterator[EnglishEntity]:
    """The entities that `answer` names, wherever they are.

    The tag is what precedes the first comma, the mention runs to the bracket that balances the opening one:
    `(ORG, Acme, Inc.)` is "Acme, Inc.", `(PER, J. (Jack) Smith)` is "J. (Jack) Smith".
    """
    for index, body in enumerate(_bracketed(answer)):
        tag, comma, rest = body.partition(",")
        mention, tag = rest.strip(), tag.strip().upper()
        if not comma or not mention:
            yield EnglishEntity(index, body.strip(), tag, unusable=Outcome.PARSE_ERROR)
        elif tag not in tags:
            yield EnglishEntity(index, mention, tag, unusable=Outcome.UNKNOWN_TAG)
        else:
            yield EnglishEntity(index, mention, tag, unusable=None if _is_name(mention) else Outcome.NOT_A_NAME)


_PRONOUNS = frozenset(
    {"I", "He", "She", "It", "We", "You", "They", "His", "Her", "Him", "Their", "Its", "This", "That"}
)


def _is_name(mention: str) -> bool:
    """Whether `mention` can be a name in English: it has letters, and a capital if its alphabet has any."""
    lettered = any(char.isalpha() for char in mention)
    return lettered and mention not in _PRONOUNS and (mention.lower() != mention or mention.upper() == mention)


def _bracketed(answer: str) -> Iterator[str]:
    """The contents of each outermost pair of brackets; an unclosed one ends with its line or at the next entity."""
    at = answer.find("(")
    while at >= 0:
        end = _closing(answer, at)
        if end < 0:
            cut = _CUT.search(answer, at + 1)
            end = cut.start() if cut else len(answer)
        yield answer[at + 1 : end]
        at = answer.find("(", end)


_CUT = re.compile(r"\n|\(\s*[A-Za-z]+\s*,")


def _closing(answer: str, start: int) -> int:
    """Where the bracket opened at `start` is closed; -1 when it never is."""
    depth = 0
    for at in range(start, len(answer)):
        depth += (answer[at] == "(") - (answer[at] == ")")
        if depth == 0:
            return at
    return -1


def _find(english: str, mention: str, begin: int) -> int:
    """Where `mention` is found from `begin` on, as whole words if it is anywhere; -1 when it is not found.

    A part of a word counts for a first mention only: "Iran" named twice is not found again in "Iranian".
    """
    first = at = english.find(mention, begin)
    while at >= 0:
        end = at + len(mention)
        if not (at and english[at - 1].isalnum()) and not (end < len(english) and english[end].isalnum()):
            return at
        at = english.find(mention, at + 1)
    return -1 if begin else first
