"""Whole sentences from one language to the other, names first: forward translation and back-translation (eqs. 1-3).

Knows prompts and answers; knows no model, queue or database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from eat_worker.method.config import MethodConfig
from eat_worker.method.constraint import list_of
from eat_worker.method.document import RoundOutput, Stage
from eat_worker.method.languages import LANGUAGES, language
from eat_worker.method.prompts import ROUND_NAMES, PromptSet
from eat_worker.method.rounds import Ask, Constraint, EnglishConstraint, Limits, Round, Said, converse

WHOLE_SENTENCE = -1  # the `entity` of a round that is not about one entity
SHORTEST = 2  # characters; a shorter sentence is not sent to the model

_BULLET = re.compile(r"(?:[-*•]|\d+[.)])\s+")
_TAGGED = re.compile(r"\(\s*([A-Za-z]+)\s*\)[\s.;]*$")
_QUOTES = " \"'“”"
_LABEL = re.compile(
    r"(?:sure|certainly|of course)?[,!.]?\s*(?:here(?:'s| is)\s+)?"
    r"(?:(?:the|my|your|final|full|complete|correct|corrected|revised|"
    + "|".join(known.name for known in LANGUAGES.values())
    + r")\s+)*(?:translation|translated sentence|sentence)(?:\s+(?:in|into|to|of|from)\s[\w ]{1,40})?\s*[:：]\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the thinking round: words of the text, their English name, and the tag if one was given."""

    words: str
    english: str
    tag: str | None


def translate(
    text: str, lang: str, *, config: MethodConfig, prompts: PromptSet, session: str, ask: Ask, said: Said
) -> Iterator[RoundOutput]:
    """The rounds of the forward translation, as they arrive; `translation_of` the last is the English sentence."""
    spoken = language(lang)
    constraint: dict[str, Constraint] = {}
    if config.forward == "bound":
        constraint = dict.fromkeys(("translate", "revise", "final", "only"), EnglishConstraint())
        if prompts.lists_names:
            constraint["think"] = list_of(text, config.tags, characters=spoken.by_characters)
    variables = {"language": spoken.name, "text": text}
    chat = _Chat(Stage.FORWARD, variables, config, prompts, session)
    return _translate(chat, constraint, ask, said)


def back_translate(
    english: str, lang: str, *, config: MethodConfig, prompts: PromptSet, session: str, ask: Ask, said: Said
) -> Iterator[RoundOutput]:
    """The rounds that carry the English sentence back into `lang`, for BLEU and L_e only."""
    variables = {"language": language(lang).name, "english": english}
    return _translate(_Chat(Stage.BACK_TRANSLATION, variables, config, prompts, session), {}, ask, said)


@dataclass(frozen=True, slots=True)
class _Chat:
    """What a translation is about, and how it is asked for."""

    stage: Stage
    variables: Mapping[str, str]
    config: MethodConfig
    prompts: PromptSet
    session: str


def _translate(chat: _Chat, constraint: Mapping[str, Constraint], ask: Ask, said: Said) -> Iterator[RoundOutput]:
    stage, config = chat.stage, chat.config
    opening = chat.prompts.opening(stage, language=chat.variables["language"])
    rounds = [
        Round(number, chat.prompts.prompt(stage, name, **chat.variables), _limits(name, config), constraint.get(name))
        for number, name in enumerate(ROUND_NAMES[stage, config.rounds], 1)
    ]
    return converse(
        opening,
        rounds,
        stage=stage,
        entity=WHOLE_SENTENCE,
        session=f"{chat.session}/{stage}",
        ask=ask,
        said=said,
        shared=len(opening),
        adapter=str(stage) in config.adapter_stages,
    )


def _limits(name: str, config: MethodConfig) -> Limits:
    return Limits(config.think_tokens if name in ("think", "check") else config.translate_tokens)


def translation_of(final: str) -> str:
    """The sentence in a final round's answer: its first paragraph, without quotes or a label around it."""
    paragraphs = (" ".join(part.split()) for part in final.split("\n\n"))
    bare = (part[label.end() :] if (label := _LABEL.match(part)) else part for part in paragraphs)
    sentence = next(filter(None, bare), "")
    if len(sentence) > 1 and sentence[0] in "\"“'«" and sentence[-1] in "\"”'»" and sentence[0] not in sentence[1:-1]:
        sentence = sentence[1:-1]
    return sentence.strip()


def listed_names(thought: str) -> list[Listed]:
    """The names that the thinking round paired, one per line as `words = English name (TAG)`; other lines are prose."""
    names = []
    for line in thought.split("\n"):
        words, equals, english = line.strip().partition("=")
        bullet = _BULLET.match(words)
        # "1. FC Köln = 1. FC Köln" is a name with a number, "1. Köln = Cologne" a numbered line.
        if bullet and not english.strip().startswith(bullet.group().strip()):
            words = words[bullet.end() :]
        tag = _TAGGED.search(english)
        name = english[: tag.start()] if tag else english.rstrip(" .;")
        pair = words.strip(_QUOTES), name.strip(_QUOTES)
        if equals and all(pair):
            names.append(Listed(*pair, tag[1].upper() if tag else None))
    return names
