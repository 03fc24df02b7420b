"""Chats as token ids, by the model's own chat template, so that no text can forge a turn.

The template is rendered around placeholders; its pieces are tokenised with control tokens, the contents between them
without. Equal messages give equal ids, whoever wrote them: a chat that is taken up again reads as it did. Knows a
llama.cpp server's requests `/apply-template` and `/tokenize`; knows no prompt and no slot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from eat_worker.engines.template_pieces import template_pieces
from eat_worker.errors import EngineError
from eat_worker.method.rounds import Message

Post = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Sends a body to a path of the server and gives its answer. Raises EngineError, EngineUnavailable."""

# What tokens with a meaning of their own look like. In plain text llama.cpp leaves "control" tokens alone, but reads
# "user defined" ones, and <tool_call> is one of these in Qwen's vocabulary.
_MARK = re.compile(r"<[^<>\s]{1,60}>|\[/?[A-Z_]{2,30}\]")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A chat as token ids, up to the opening of the next answer.

    `shared`: how many ids come before the content of the first message that is the chat's own. `answers`: where the
    assistant's own answers begin and end, those in the shared messages left out.
    """

    ids: list[int]
    shared: int
    answers: tuple[tuple[int, int], ...]


class ChatTemplate:
    """The chat template and tokenizer of one loaded model. Safe to call from many threads."""

    def __init__(self, post: Post) -> None:
        self._post = post
        # Corpus sentences come a few times, prompts again and again.
        self._tokenise = lru_cache(4096)(self._ask_tokens)
        self._pieces = lru_cache(256)(self._render)

    def encode(self, messages: Sequence[Message], shared: int) -> Encoded:
        """The chat, whose first `shared` messages are not its own.

        Raises ConfigurationError when the template has no place for such a chat.
        """
        pieces = self._pieces(tuple(message.role for message in messages))
        ids = list(pieces[0])
        beginning, answers = 0, []
        for at, message in enumerate(messages):
            if 0 < shared == at:
                beginning = len(ids)
            begin = len(ids)
            ids += self._plain(message.content)
            if message.role == "assistant" and at >= shared:
                answers.append((begin, len(ids)))
            ids += pieces[at + 1]
        return Encoded(ids, beginning, tuple(answers))

    def _render(self, roles: tuple[str, ...]) -> list[tuple[int, ...]]:
        """The template's own tokens: before the first content, between contents, after the last."""
        pieces = template_pieces(roles, self._write, EngineError)
        # The beginning of the text is where a vocabulary that asks for one has its begin token.
        return [self._tokenise(piece, control=True, begins=at == 0) for at, piece in enumerate(pieces)]

    def _write(self, messages: list[dict[str, str]]) -> str:
        written: str = self._post("/apply-template", {"messages": messages, "add_generation_prompt": True})["prompt"]
        return written

    def _plain(self, text: str) -> list[int]:
        """The ids of a content, none of which means more than its letters: a mark is cut in two where it would."""
        marks = [mark for mark in _MARK.finditer(text) if len(self._tokenise(mark.group(), control=True)) == 1]
        cuts = [0, *(mark.start() + 1 for mark in marks), len(text)]
        return [token for begin, end in pairwise(cuts) for token in self._tokenise(text[begin:end], control=False)]

    def _ask_tokens(self, text: str, *, control: bool, begins: bool = False) -> tuple[int, ...]:
        if not text and not begins:
            return ()
        return tuple(
            self._post("/tokenize", {"content": text, "add_special": begins, "parse_special": control})["tokens"]
        )
