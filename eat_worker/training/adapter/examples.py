"""Chats as token ids with the places of their answers: what a step of training is made of.

The ids are those the engine will compute at work: same template, same neutralised contents. All answers of one chat are
learnt from one sequence. Knows the tokenizer through `ChatIds`; knows no model and no tensor.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from eat_worker.engines.qwen.chat_ids import ChatIds
from eat_worker.errors import ConfigurationError
from eat_worker.method.rounds import Message
from eat_worker.training.eacl.chats import Conversation


@dataclass(frozen=True, slots=True)
class Example:
    """One chat. `answers` are [start, end) of `ids`, each with the token that ends the answer, if it ends there; loss
    is there only.
    """

    ids: tuple[int, ...]
    answers: tuple[tuple[int, int], ...]

    @property
    def learnt(self) -> int:
        """Tokens that the loss is taken over."""
        return sum(end - start for start, end in self.answers)


def examples_of(chats: Iterable[Conversation], base: Path, longest: int) -> tuple[list[Example], int]:
    """The chats in order, and how many were left out because they have more than `longest` tokens.

    Raises ConfigurationError when the model's chat template writes a chat that goes on differently than one that stops.
    """
    ids = ChatIds(base)
    examples = [_example(chat, ids) for chat in chats]
    kept = [example for example in examples if len(example.ids) <= longest]
    return kept, len(examples) - len(kept)


def _example(chat: Conversation, chat_ids: ChatIds) -> Example:
    messages = list(chat.opening)
    starts: list[tuple[int, list[int]]] = []
    for turn in chat.turns:
        messages.append(Message("user", turn.question))
        prompt = chat_ids.encode(messages).ids
        starts.append((len(prompt), prompt))
        messages.append(Message("assistant", turn.answer))
    whole = chat_ids.encode(messages).ids
    if any(whole[:start] != prompt for start, prompt in starts):
        raise ConfigurationError("the chat template rewrites earlier turns; no adapter can be trained for it")
    answers = tuple(
        (start, _end(whole, start, chat_ids.vocabulary.control) - (not turn.ends))
        for (start, _), turn in zip(starts, chat.turns, strict=True)
    )
    return Example(tuple(whole[: answers[-1][1]]), answers)


def _end(ids: list[int], start: int, control: frozenset[int]) -> int:
    # No content holds a control token: the first one is the template's, and it ends the answer.
    return next(at for at in range(start, len(ids)) if ids[at] in control) + 1
