"""Whole sentences from one language to the other, names first: forward translation and back-translation (eqs. 1-3).

Knows prompts and answers; knows no model, queue or database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from eat_worker.method.chat import Chat
from eat_worker.method.config import MethodConfig
from eat_worker.method.constraint import list_of
from eat_worker.method.document import Document
from eat_worker.method.languages import LANGUAGES, language
from eat_worker.method.prompts import ListForm
from eat_worker.method.rounds import Constraint, EnglishConstraint

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
    """One line of the thinking round: a mention in the text, its English name, and the tag if one was given."""

    mention: str
    english: str
    tag: str | None


def translate(document: Document, chat: Chat) -> str:
    """The English sentence: the forward translation's final answer."""
    spoken = language(document.lang)
    constraints: dict[str, Constraint] = {}
    if chat.config.forward == "bound":
        constraints = dict.fromkeys(("translate", "revise", "final", "only"), EnglishConstraint())
        if chat.prompts.lists is ListForm.PAIRS:
            constraints["think"] = list_of(document.text, chat.config.tags, characters=spoken.by_characters)
    return _translated(chat, constraints, language=spoken.name, text=document.text)


def back_translate(english: str, lang: str, chat: Chat) -> str:
    """The English sentence carried back into `lang`, for BLEU and L_e only."""
    return _translated(chat, {}, language=language(lang).name, english=english)


def _translated(chat: Chat, constraints: Mapping[str, Constraint], **variables: str) -> str:
    names = chat.prompts.round_names(chat.stage, chat.config.rounds)
    rounds = [
        chat.round(number, name, _tokens(name, chat.config), constraints.get(name), **variables)
        for number, name in enumerate(names, 1)
    ]
    return translation_of(chat.final_answer(chat.opening(language=variables["language"]), rounds).output)


def _tokens(name: str, config: MethodConfig) -> int:
    return config.think_tokens if name in ("think", "check") else config.translate_tokens


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
        mention, equals, english = line.strip().partition("=")
        bullet = _BULLET.match(mention)
        # "1. FC Köln = 1. FC Köln" is a name with a number, "1. Köln = Cologne" a numbered line.
        if bullet and not english.strip().startswith(bullet.group().strip()):
            mention = mention[bullet.end() :]
        tag = _TAGGED.search(english)
        name = english[: tag.start()] if tag else english.rstrip(" .;")
        pair = mention.strip(_QUOTES), name.strip(_QUOTES)
        if equals and all(pair):
            names.append(Listed(*pair, tag[1].upper() if tag else None))
    return names
