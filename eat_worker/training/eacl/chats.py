"""EACL pairs as the chats that backward alignment holds: what an adapter is trained on is what it will be asked.

Every round that `method.backward` would put to the model about a sentence is one Turn: the same question, and the
answer that leads to the right words. The same chats are written in the ShareGPT form,
which LLaMA-Factory and others import as they are. Knows prompts and pairs; knows no model and no tokenizer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eat_worker.method.config import MethodConfig
from eat_worker.method.constraint import places_of, units_of
from eat_worker.method.document import Outcome, Stage
from eat_worker.method.languages import language
from eat_worker.method.matching import match
from eat_worker.method.prompts import ROUND_NAMES, PromptSet
from eat_worker.method.rounds import Message, Prompt
from eat_worker.training.eacl.mentions import Mentions
from eat_worker.training.eacl.pairs import EaclPair

# What the adapter learns to say before the final round. Short, and each names the words: the final round only copies
# what it has just read, and a free round costs 20 tokens instead of 128. They are trained as well, because at work
# these rounds are asked with the adapter on: untrained, they would drift, and the final round would follow them.
THOUGHTS = {
    "locate": '"{english}" is called {words} in {language}. The words of the sentence are: {words}',
    "verify": "All of it occurs in the sentence as it is written: {words}",
    "reconsider": "No longer or shorter group of words fits better: {words}",
    "confirm": "The words of the sentence are: {words}",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of a chat and what should be answered; loss is on the answer only."""

    question: str
    answer: str
    #: The answer is the exact words of the text, so it can be judged by comparing; else a thought on the way there.
    final: bool
    #: The answer is over where it ends. Otherwise more might follow, and what does is not learnt; only of a last turn.
    ends: bool = True


@dataclass(frozen=True, slots=True)
class Conversation:
    """A whole chat about one sentence: the messages it begins with, and its turns in order."""

    opening: tuple[Message, ...]
    turns: tuple[Turn, ...]
    lang: str
    #: The page the sentence comes from, `ko:서울`.
    page: str
    #: The sentence.
    text: str


def conversations(pairs: Iterable[EaclPair], *, prompts: PromptSet, config: MethodConfig) -> Iterator[Conversation]:
    """The chats of the pairs in order, each pair's sentence asked about its own name and up to two others.

    With `constrained` all names of a sentence share one chat of one round each; otherwise each has a chat of its own,
    with `config.rounds` rounds. Left out are pairs without `words`, answers that a bound round could not say because
    they begin or end within a word, and names that stand in the text as they are in English: those are copied, not
    asked. Holds the pairs in memory (a few megabytes), to find names of one page in the sentence of another.
    """
    known = [pair for pair in pairs if pair.words is not None]
    mentions = Mentions(known)
    for pair in known:
        asked = [one for one in (pair, *mentions.found_in(pair)) if is_asked(one, config)]
        # The page's own name must not be the first question always: it is the first word of the sentence nearly always.
        asked.sort(key=lambda one: hashlib.sha256(f"{pair.page}\0{one.english}".encode()).digest())
        if config.alignment != "constrained":
            for one in asked:
                yield _conversation(pair, _rounds(one, prompts, config), prompts)
        elif asked:
            turns = (_bound(one, prompts, first=one is asked[0]) for one in asked)
            yield _conversation(pair, turns, prompts)


def is_asked(pair: EaclPair, config: MethodConfig) -> bool:
    """Whether backward alignment with these settings would ask about this name and could be given this answer.

    A name whose English stands elsewhere in the sentence ("서울(영어: Seoul)은 ...") counts as asked, although it would
    be copied too: such glosses belong to encyclopedias, and without them the question is a real one.
    """
    if pair.words is None:
        return False
    if config.alignment == "free":
        return True
    units = units_of(pair.text, characters=language(pair.lang).by_characters)
    if next(places_of(pair.words, units), None) is None:
        return False
    if config.alignment != "constrained":
        return True
    copied = match(pair.english, pair.text)
    if copied.span is None or copied.outcome not in (Outcome.EXACT, Outcome.NORMALISED):
        return True
    return pair.text[copied.span.start : copied.span.end] != pair.words


def _conversation(pair: EaclPair, turns: Iterable[Turn], prompts: PromptSet) -> Conversation:
    opening = prompts.opening(Stage.BACKWARD, language=language(pair.lang).name)
    return Conversation(opening, tuple(turns), pair.lang, pair.page, pair.text)


def _bound(pair: EaclPair, prompts: PromptSet, *, first: bool) -> Turn:
    return _turn(pair, "only" if first else "next", prompts)


def _rounds(pair: EaclPair, prompts: PromptSet, config: MethodConfig) -> Sequence[Turn]:
    return [_turn(pair, name, prompts) for name in ROUND_NAMES[Stage.BACKWARD, config.rounds]]


def _turn(pair: EaclPair, name: str, prompts: PromptSet) -> Turn:
    assert pair.words is not None  # is_asked
    called = language(pair.lang).name
    asked = prompts.prompt(Stage.BACKWARD, name, language=called, text=pair.text, words=pair.english)
    thought = THOUGHTS.get(name)
    if thought is None:
        return Turn(asked.text(), pair.words, final=True)
    said = Prompt("", thought, {"english": pair.english, "words": pair.words, "language": called})
    return Turn(asked.text(), said.text(), final=False)


_FROM = {"user": "human", "assistant": "gpt"}


def sharegpt(chats: Iterable[Conversation]) -> Iterator[dict[str, Any]]:
    """One record per chat: `conversations` of human and gpt in turn, the last of them the words, and `system`."""
    for chat in chats:
        system = "\n".join(message.content for message in chat.opening if message.role == "system")
        turns = [
            {"from": _FROM[message.role], "value": message.content}
            for message in chat.opening
            if message.role != "system"
        ]
        for turn in chat.turns:
            turns += [{"from": "human", "value": turn.question}, {"from": "gpt", "value": turn.answer}]
        yield {"conversations": turns, "system": system}


def dataset_info(name: str, file_name: str) -> dict[str, Any]:
    """The entry of LLaMA-Factory's `dataset_info.json` under which it finds the file."""
    tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
    columns = {"messages": "conversations", "system": "system"}
    return {name: {"file_name": file_name, "formatting": "sharegpt", "columns": columns, "tags": tags}}
