"""The two questions the adapter that comes along can answer: which names a text has, and which words one of them is.

Names are asked with the prompts of the set `tuned`: what is trained is what will be asked. The words of a name are
asked with a prompt of this file: at work the plain weights do that, because an adapter that learnt it from first
sentences of Wikipedia prefers their titles. The chats stay, so that the adapter can be made again as it is. Knows no
file and no model.
"""

from __future__ import annotations

from typing import Literal

from eat_worker.method.document import Stage
from eat_worker.method.prompts import prompt_set
from eat_worker.method.rounds import Message
from eat_worker.training.eacl.chats import Conversation, Turn
from eat_worker.training.eacl.pairs import EaclPair
from eat_worker.training.tagged import Tagged

PROMPTS = "tuned"
_COPY = "Copy the words that mean the English name."


def names_chat(sentence: Tagged, lang: str, *, upto: Literal["end", "bracket", "tag"] = "end") -> Conversation:
    """The names of a sentence, one line each, or `none`.

    `upto` says how far the answer is learnt where more names may follow than are known: to its end, to the bracket of
    the last line, or to the tag in it. One token holds the bracket and the new line, another one the bracket of a last
    line: who learns that bracket learns that the list is over.
    """
    prompts = prompt_set(PROMPTS)
    lines = (f"{sentence.text[start:end]} ({tag})" for start, end, tag in sorted(sentence.entities))
    question = prompts.prompt(Stage.DIRECT, "final", text=sentence.text).text()
    answer = "\n".join(lines) or "none"
    turn = Turn(question, answer.removesuffix(")") if upto == "tag" else answer, final=True, ends=upto == "end")
    return Conversation(prompts.opening(Stage.DIRECT), (turn,), lang, "", sentence.text)


def words_chat(pair: EaclPair) -> Conversation:
    """The words of a sentence that an English name means."""
    turn = Turn(f"{pair.text}\n{pair.english}", pair.title, final=True)
    return Conversation((Message("system", _COPY),), (turn,), pair.lang, pair.page, pair.text)
