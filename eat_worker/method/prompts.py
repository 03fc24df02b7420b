"""The prompts, versioned data: what each round of each stage says, in two sets.

`restated` repeats the sentence in every round, as eqs. 2-3 write it: LM(p2, x, a, b). Small models need that: asked
without it, Qwen 1.5B answers "please provide the sentence". `official` has the structure of the released prompts (a
system turn, a canned acknowledgement, later rounds that do not repeat the sentence), in our own words. The paper
prints no prompts for 1 or 5 rounds: those are ours in both sets. A template's id is the SHA-256 of its text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from eat_worker.method.document import Stage
from eat_worker.method.rounds import Message, Prompt

# "only" is the question of a chat that asks nothing before: it has everything that the answer needs.
ROUND_NAMES: dict[tuple[Stage, int], tuple[str, ...]] = {
    (Stage.FORWARD, 1): ("only",),
    (Stage.FORWARD, 3): ("think", "translate", "final"),
    (Stage.FORWARD, 5): ("think", "translate", "check", "revise", "final"),
    (Stage.BACKWARD, 1): ("only",),
    (Stage.BACKWARD, 3): ("locate", "verify", "final"),
    (Stage.BACKWARD, 5): ("locate", "verify", "reconsider", "confirm", "final"),
}
ROUND_NAMES |= {
    (Stage.BACK_TRANSLATION, rounds): names for (stage, rounds), names in ROUND_NAMES.items() if stage is Stage.FORWARD
}


class StoredTemplate(NamedTuple):
    """A template as it is stored beside the rounds that name its `id`, the SHA-256 of its text."""

    id: str
    stage: str
    round: int
    template: str
    prompt_set: str


class ListForm(StrEnum):
    """How the thinking round of a prompt set says what it found."""

    PROSE = "prose"
    PAIRS = "pairs"  # one line each: words = English name (TAG)
    NAMES = "names"  # one line each: words (TAG); it is a chat of its own before the translation, the stage `direct`


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Templates of all rounds by (stage, round name), and the messages every chat of a stage begins with."""

    name: str
    version: int
    lists: ListForm  # what the thinking round of this set answers
    openings: Mapping[Stage, tuple[tuple[str, str], ...]]
    templates: Mapping[tuple[Stage, str], str]

    @property
    def id(self) -> str:
        """SHA-256 over everything the set says: part of a run's fingerprint."""
        parts = [str(self.version), *(f"{role}{text}" for pairs in self.openings.values() for role, text in pairs)]
        parts += [f"{stage}/{name}/{text}" for (stage, name), text in sorted(self.templates.items())]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def opening(self, stage: Stage, **variables: str) -> tuple[Message, ...]:
        """The messages a chat of this stage begins with, the same for every sentence of a language."""
        return tuple(Message(role, Prompt("", text, variables).text()) for role, text in self.openings.get(stage, ()))

    def prompt(self, stage: Stage, name: str, **variables: str) -> Prompt:
        """The prompt of one round, filled with `variables`."""
        template = self.templates[stage, name]
        return Prompt(_id(template), template, variables)

    def round_names(self, stage: Stage, rounds: int) -> tuple[str, ...]:
        """The rounds of a chat of this stage, in order, in a run of so many rounds.

        Where the thinking is a chat of its own and every answer is bound, the other chats have nothing to prepare.
        """
        bound = self.lists is ListForm.NAMES and stage is not Stage.BACK_TRANSLATION
        return ROUND_NAMES[stage, 1 if bound else rounds]

    def listed(self, rounds: int) -> list[StoredTemplate]:
        """Every template of the set, numbered as a run of so many rounds asks them."""
        numbers = {
            (stage, name): number
            for (stage, count), names in ROUND_NAMES.items()
            if count == rounds
            for number, name in enumerate(names, start=1)
        }
        return [
            StoredTemplate(_id(text), str(stage), numbers.get((stage, name), 1), text, self.name)
            for (stage, name), text in self.templates.items()
        ]


@cache
def _id(template: str) -> str:
    return hashlib.sha256(template.encode()).hexdigest()


def prompt_set(name: str) -> PromptSet:
    """The prompt set `restated`, `official` or `tuned`."""
    return {"restated": RESTATED, "official": OFFICIAL, "tuned": TUNED}[name]


_EXTRACT_OPENING = (
    (
        "system",
        (
            "You find named entities in English sentences. Tags: PER for people, LOC for places, ORG for "
            "organizations. Answer with every entity in order as (TAG, words), or with none."
        ),
    ),
    ("user", "Sentence: The singer Ann Dee met reporters of the Daily Globe in Oslo on Monday."),
    ("assistant", "(PER, Ann Dee) (ORG, Daily Globe) (LOC, Oslo)"),
    ("user", "Sentence: Rain is expected in the afternoon."),
    ("assistant", "none"),
    ("user", "Sentence: Kim Min-ji left the University of Lima for Sony and moved to Osaka, Japan."),
    ("assistant", "(PER, Kim Min-ji) (ORG, University of Lima) (ORG, Sony) (LOC, Osaka) (LOC, Japan)"),
    ("user", "Sentence: In 1846 the Ottoman Empire gave the town of Varna to General Reza Pasha."),
    ("assistant", "(LOC, Ottoman Empire) (LOC, Varna) (PER, Reza Pasha)"),
)

_EXTRACT_TEXT = "{english}"  # what an extractor that is no chat reads

_EXTRACT_PROMPT = "Sentence: {english}"

# Spanish sentences show the form of the answers; no language of the paper's test sets is shown labelled.
_SHOWN = (
    (
        "La cantante Rosalía actuó en el Teatro Real de Madrid ante directivos de Telefónica.",
        (
            "Rosalía = Rosalía (PER)\nTeatro Real = Royal Theatre (LOC)\n"
            "Madrid = Madrid (LOC)\nTelefónica = Telefónica (ORG)"
        ),
        "The singer Rosalía performed at the Royal Theatre in Madrid before executives of Telefónica.",
    ),
    ("Desde ayer llueve y hace mucho frío.", "none", "It has been raining since yesterday and it is very cold."),
    (
        "En 1937 Japón y la Sociedad de Naciones firmaron un acuerdo que el ministro Hirota rechazó.",
        "Japón = Japan (LOC)\nSociedad de Naciones = League of Nations (ORG)\nHirota = Hirota (PER)",
        "In 1937 Japan and the League of Nations signed an agreement which Minister Hirota rejected.",
    ),
)

_THINK = (
    "Sentence ({language}): {text}\n"
    "Which people, places and organizations does it name? One per line: words of the sentence = English name (PER, LOC "
    "or ORG). If it names none, answer: none"
)
_TRANSLATE = "Translate the sentence into English with those names in mind.\nSentence ({language}): {text}"
_FORWARD_FINAL = "Write only the final English translation.\nSentence ({language}): {text}"

_BACK_THINK = (
    "English sentence: {english}\n"
    "Which people, places and organizations does it name, and how are they written in {language}? One per line: "
    "English name = {language} name. If it names none, answer: none"
)
_BACK_TRANSLATE = "Translate the sentence into {language} with those names in mind.\nEnglish sentence: {english}"
_BACK_FINAL = "Write only the final {language} translation.\nEnglish sentence: {english}"

_FIND = (
    'Sentence ({language}): {text}\nWhich words of this sentence mean "{words}"? Copy them exactly as they are written.'
)
_FIND_NEXT = 'Which words of the same sentence mean "{words}"?'


def _shown_chat() -> tuple[tuple[str, str], ...]:
    """The shown sentences as chats that are already answered."""
    turns: list[tuple[str, str]] = []
    for text, names, english in _SHOWN:
        for template, answer in ((_THINK, names), (_TRANSLATE, english), (_FORWARD_FINAL, english)):
            turns += [
                ("user", template.replace("{language}", "Spanish").replace("{text}", text)),
                ("assistant", answer),
            ]
    return tuple(turns)


RESTATED = PromptSet(
    name="restated",
    version=1,
    lists=ListForm.PAIRS,
    openings={
        Stage.FORWARD: (
            (
                "system",
                (
                    "You translate {language} into English. You look at the names first: people, places and "
                    "organizations, and what they are called in English."
                ),
            ),
            *_shown_chat(),
        ),
        Stage.EXTRACT: _EXTRACT_OPENING,
        Stage.BACKWARD: (
            (
                "system",
                (
                    "You find the words of a {language} sentence that an English name was translated from. "
                    "You answer with those words only, copied from the sentence."
                ),
            ),
        ),
        Stage.BACK_TRANSLATION: (
            ("system", "You translate English into {language}. Names are written the way {language} writes them."),
        ),
        Stage.DIRECT: (
            (
                "system",
                (
                    "You find named entities in sentences of any language. Tags: PER for people, LOC for places, ORG "
                    "for organizations. Answer with every entity in order as (TAG, words), the words copied from the "
                    "sentence, or with none."
                ),
            ),
            *_EXTRACT_OPENING[1:],
        ),
    },
    templates={
        (Stage.FORWARD, "think"): _THINK,
        (Stage.FORWARD, "translate"): _TRANSLATE,
        (Stage.FORWARD, "check"): (
            "Compare your translation with the sentence. Which names or details are missing or wrong?\n"
            "Sentence ({language}): {text}"
        ),
        (Stage.FORWARD, "revise"): "Translate the sentence again, corrected.\nSentence ({language}): {text}",
        (Stage.FORWARD, "final"): _FORWARD_FINAL,
        (Stage.FORWARD, "only"): _FORWARD_FINAL,
        (Stage.EXTRACT, "final"): _EXTRACT_PROMPT,
        (Stage.EXTRACT, "text"): _EXTRACT_TEXT,
        (Stage.BACKWARD, "locate"): (
            "Sentence ({language}): {text}\n"
            'How is the English name "{words}" written in {language}, and which words of the sentence are that?'
        ),
        (Stage.BACKWARD, "verify"): (
            'Check that every word of your answer for "{words}" occurs in the sentence, and correct it if not.\n'
            "Sentence ({language}): {text}"
        ),
        (Stage.BACKWARD, "reconsider"): (
            'Is there a longer or shorter group of words that means "{words}" more exactly?\n'
            "Sentence ({language}): {text}"
        ),
        (Stage.BACKWARD, "confirm"): (
            'Decide which words of the sentence mean "{words}".\nSentence ({language}): {text}'
        ),
        (Stage.BACKWARD, "final"): _FIND,
        (Stage.BACKWARD, "only"): _FIND,
        (Stage.BACKWARD, "next"): _FIND_NEXT,
        (Stage.BACK_TRANSLATION, "think"): _BACK_THINK,
        (Stage.BACK_TRANSLATION, "translate"): _BACK_TRANSLATE,
        (Stage.BACK_TRANSLATION, "check"): (
            "Compare your translation with the English sentence. Which names or details are missing or wrong?\n"
            "English sentence: {english}"
        ),
        (Stage.BACK_TRANSLATION, "revise"): "Translate the sentence again, corrected.\nEnglish sentence: {english}",
        (Stage.BACK_TRANSLATION, "final"): _BACK_FINAL,
        (Stage.BACK_TRANSLATION, "only"): _BACK_FINAL,
        (Stage.DIRECT, "final"): "Sentence: {text}",
    },
)

# What the adapter that comes along was trained on, and therefore as short as it can be: the weights know the task.
_NAME = (("system", "Name the PER, LOC and ORG."),)

TUNED = PromptSet(
    name="tuned",
    version=1,
    lists=ListForm.NAMES,
    openings={
        Stage.FORWARD: (
            ("system", "You translate {language} into English. You write names the way English writes them."),
        ),
        Stage.EXTRACT: _NAME,
        Stage.DIRECT: _NAME,
        Stage.BACKWARD: RESTATED.openings[Stage.BACKWARD],
        Stage.BACK_TRANSLATION: RESTATED.openings[Stage.BACK_TRANSLATION],
    },
    templates={
        **RESTATED.templates,
        (Stage.FORWARD, "only"): "Translate into English.\n{text}",
        (Stage.EXTRACT, "final"): "{english}",
        (Stage.DIRECT, "final"): "{text}",
    },
)

_OFFICIAL_TASK = "You are an expert translator between {language} and English."
_OFFICIAL_READY = "I am ready. Please tell me what to translate."

OFFICIAL = PromptSet(
    name="official",
    version=1,
    lists=ListForm.PROSE,
    openings={
        Stage.FORWARD: (
            ("system", _OFFICIAL_TASK),
            ("user", "I will give you a {language} sentence, and you will translate it into English step by step."),
            ("assistant", _OFFICIAL_READY),
        ),
        Stage.EXTRACT: _EXTRACT_OPENING,
        Stage.BACKWARD: (
            ("system", _OFFICIAL_TASK),
            (
                "user",
                (
                    "I will give you an English phrase and a {language} sentence, and you will find the {language} "
                    "phrase that it was translated from."
                ),
            ),
            ("assistant", _OFFICIAL_READY),
        ),
        Stage.BACK_TRANSLATION: (
            ("system", _OFFICIAL_TASK),
            ("user", "I will give you an English sentence, and you will translate it into {language} step by step."),
            ("assistant", _OFFICIAL_READY),
        ),
        Stage.DIRECT: RESTATED.openings[Stage.DIRECT],
    },
    templates={
        (Stage.FORWARD, "think"): (
            "{language} sentence: {text}\n"
            "First think about which entities the sentence may contain and explain each of them."
        ),
        (Stage.FORWARD, "translate"): (
            "Now translate the sentence into English, taking your analysis of the entities into account."
        ),
        (Stage.FORWARD, "check"): "Check whether your translation leaves out anything of the sentence.",
        (Stage.FORWARD, "revise"): "Translate the sentence again with what you found.",
        (Stage.FORWARD, "final"): "Give only the final translation, without any other words.",
        (Stage.FORWARD, "only"): (
            "{language} sentence: {text}\n"
            "Translate it into English. Give only the translation, without any other words."
        ),
        (Stage.EXTRACT, "final"): _EXTRACT_PROMPT,
        (Stage.EXTRACT, "text"): _EXTRACT_TEXT,
        (Stage.BACKWARD, "locate"): (
            "English phrase: {words}\n{language} sentence: {text}\n"
            "Translate the phrase into {language} and analyse which phrase of the sentence it could be."
        ),
        (Stage.BACKWARD, "verify"): (
            "Check the result and make sure that each of its words appears in the {language} sentence."
        ),
        (Stage.BACKWARD, "reconsider"): "Think again whether another phrase of the sentence fits better.",
        (Stage.BACKWARD, "confirm"): "Decide on one phrase of the sentence.",
        (Stage.BACKWARD, "final"): "Give only the {language} phrase, without any other words.",
        (Stage.BACKWARD, "only"): (
            "English phrase: {words}\n{language} sentence: {text}\n"
            "Give only the {language} phrase of the sentence, without any other words."
        ),
        (Stage.BACKWARD, "next"): _FIND_NEXT,
        (Stage.BACK_TRANSLATION, "think"): (
            "English sentence: {english}\n"
            "First think about which entities the sentence may contain and explain each of them."
        ),
        (Stage.BACK_TRANSLATION, "translate"): (
            "Now translate the sentence into {language}, taking your analysis of the entities into account."
        ),
        (Stage.BACK_TRANSLATION, "check"): "Check whether your translation leaves out anything of the sentence.",
        (Stage.BACK_TRANSLATION, "revise"): "Translate the sentence again with what you found.",
        (Stage.BACK_TRANSLATION, "final"): "Give only the final translation, without any other words.",
        (Stage.BACK_TRANSLATION, "only"): (
            "English sentence: {english}\n"
            "Translate it into {language}. Give only the translation, without any other words."
        ),
        (Stage.DIRECT, "final"): RESTATED.templates[Stage.DIRECT, "final"],
    },
)
