"""The two questions the adapter that comes along can answer: which names a text has, and which words one of them is.

Prompts are those of the prompt set `tuned`: what is trained is what will be asked. Knows prompts; knows no file, no
model and no tokenizer.
"""

from __future__ import annotations

from eat_worker.method.document import Stage
from eat_worker.method.languages import language
from eat_worker.method.prompts import prompt_set
from eat_worker.training.eacl.chats import Conversation, Turn
from eat_worker.training.eacl.pairs import EaclPair
from eat_worker.training.tagged import Tagged

PROMPTS = "tuned"


def names_chat(sentence: Tagged, lang: str, *, whole: bool = True) -> Conversation:
    """The names of a sentence, one line each, or `none`. Not `whole`: there may be more names than are known, so what
    comes after the last known one is not learnt.
    """
    prompts = prompt_set(PROMPTS)
    lines = (f"{sentence.text[start:end]} ({tag})" for start, end, tag in sorted(sentence.entities))
    question = prompts.prompt(Stage.DIRECT, "final", text=sentence.text).text()
    turn = Turn(question, "\n".join(lines) or "none", final=True, ends=whole)
    return Conversation(prompts.opening(Stage.DIRECT), (turn,), lang, "", sentence.text)


def words_chat(pair: EaclPair) -> Conversation:
    """The words of a sentence that an English name means."""
    prompts, called = prompt_set(PROMPTS), language(pair.lang).name
    asked = prompts.prompt(Stage.BACKWARD, "only", language=called, text=pair.text, words=pair.english)
    turn = Turn(asked.text(), pair.title, final=True)
    return Conversation(prompts.opening(Stage.BACKWARD, language=called), (turn,), pair.lang, pair.page, pair.text)
