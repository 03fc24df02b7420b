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
from eat_worker.method.languages import language
from eat_worker.method.prompts import ROUND_NAMES, PromptSet
from eat_worker.method.rounds import Ask, Constraint, Limits, Round, Said, converse

WHOLE_SENTENCE = -1  # the `entity` of a round that is not about one entity
SHORTEST = 2  # characters; a shorter sentence is not sent to the model

_LINE = re.compile(r"^[-*•\d.)\s]*(?P<words>.+?)\s*=\s*(?P<english>.+?)\s*(?:\((?P<tag>[A-Za-z]+)\))?\s*[.;]?$")


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
    bound = config.think == "bound" and prompts.lists_names
    constraint = {"think": list_of(text, config.tags, characters=spoken.by_characters)} if bound else {}
    variables = {"language": spoken.name, "text": text}
    return _translate(Stage.FORWARD, variables, constraint, config, prompts, session, ask, said)


def back_translate(
    english: str, lang: str, *, config: MethodConfig, prompts: PromptSet, session: str, ask: Ask, said: Said
) -> Iterator[RoundOutput]:
    """The rounds that carry the English sentence back into `lang`, for BLEU and L_e only."""
    variables = {"language": language(lang).name, "english": english}
    return _translate(Stage.BACK_TRANSLATION, variables, {}, config, prompts, session, ask, said)


def _translate(
    stage: Stage,
    variables: Mapping[str, str],
    constraint: Mapping[str, Constraint],
    config: MethodConfig,
    prompts: PromptSet,
    session: str,
    ask: Ask,
    said: Said,
) -> Iterator[RoundOutput]:
    opening = prompts.opening(stage, language=variables["language"])
    rounds = [
        Round(number, prompts.prompt(stage, name, **variables), _limits(name, config), constraint.get(name))
        for number, name in enumerate(ROUND_NAMES[stage, config.rounds], 1)
    ]
    return converse(
        opening,
        rounds,
        stage=stage,
        entity=WHOLE_SENTENCE,
        session=f"{session}/{stage}",
        ask=ask,
        said=said,
        shared=len(opening),
        adapter=str(stage) in config.adapter_stages,
    )


def _limits(name: str, config: MethodConfig) -> Limits:
    return Limits(config.think_tokens if name in ("think", "check") else config.translate_tokens)


def translation_of(final: str) -> str:
    """The sentence in a final round's answer: its first paragraph, without quotes or a label around it."""
    paragraph = next((part.strip() for part in final.strip().split("\n\n") if part.strip()), "")
    sentence = " ".join(paragraph.split())
    label = re.match(r"^(?:[A-Z][\w ]{0,40}(?:translation|sentence)[\w ]{0,20}:)\s*(?=\S)", sentence)
    if label:
        sentence = sentence[label.end() :]
    if len(sentence) > 1 and sentence[0] in "\"“'«" and sentence[-1] in "\"”'»" and sentence[0] not in sentence[1:-1]:
        sentence = sentence[1:-1]
    return sentence.strip()


def listed_names(thought: str) -> list[Listed]:
    """The names that the thinking round paired, one per line as `words = English name (TAG)`; other lines are prose."""
    names = []
    for line in thought.splitlines():
        found = _LINE.match(line.strip())
        if found:
            tag = found["tag"].upper() if found["tag"] else None
            names.append(Listed(found["words"].strip(" \"'“”"), found["english"].strip(" \"'“”"), tag))
    return names
