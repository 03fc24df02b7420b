"""Chats as token ids, by the model's own chat template, so that no text can forge a turn.

The template is rendered around placeholders; its pieces are tokenised with control tokens, the contents between them by
a tokenizer that has none. Equal messages give equal ids, whoever wrote them: a chat that is taken up again reads as it
did. Knows the tokenizer of a folder; knows no prompt and no model.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

from eat_worker.engines.qwen.vocabulary import Vocabulary
from eat_worker.engines.template_pieces import template_pieces
from eat_worker.errors import ConfigurationError, EngineError
from eat_worker.method.rounds import Message


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A chat up to the opening of the next answer. `controls` counts the control tokens that the template wrote;
    `neutralised` says that some text held the letters of one.
    """

    ids: list[int]
    controls: Counter[int]
    neutralised: bool


class ChatIds:
    """The chat template and tokenizer of one folder of weights. Safe to call from many threads.

    Raises ConfigurationError when the folder has no such files or its tokenizer cannot keep control tokens apart.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = _load_tokenizer(folder)
        self.vocabulary = Vocabulary(self._tokenizer)
        described = json.loads(self._tokenizer.backend_tokenizer.to_str())
        self._plain = Tokenizer.from_str(json.dumps(described | {"added_tokens": []}))
        marks = [token.content for token in self._tokenizer.added_tokens_decoder.values()]
        self._marks = re.compile("|".join(map(re.escape, marks)) or r"(?!)")
        if any(self.vocabulary.control.intersection(self._plain.encode(mark).ids) for mark in marks):
            raise ConfigurationError(f"{folder}: the tokenizer reads control tokens in plain text; use Qwen's own")
        # Corpus sentences come a few times, prompts again and again.
        self.plain_ids = lru_cache(4096)(self._encode_plain)
        self._pieces = lru_cache(256)(self._render)

    def encode(self, messages: Sequence[Message]) -> ChatPrompt:
        """The ids of a chat. Raises ConfigurationError when the template has no place for such a chat, EngineError
        when a text cannot be written as UTF-8.
        """
        pieces = self._pieces(tuple(message.role for message in messages))
        ids = list(pieces[0])
        for message, piece in zip(messages, pieces[1:], strict=True):
            ids += self.plain_ids(message.content)
            ids += piece
        return ChatPrompt(
            ids,
            Counter(token for token in chain(*pieces) if token in self.vocabulary.control),
            any(self._marks.search(message.content) for message in messages),
        )

    def check(self, ids: Sequence[int], controls: Counter[int]) -> None:
        """Raises EngineError when `ids` hold other control tokens than the template wrote: a text forged a turn."""
        found = Counter(token for token in ids if token in self.vocabulary.control)
        if found != controls:
            raise EngineError(
                f"the prompt holds control tokens that the chat template did not write: {dict(found - controls)}"
            )

    def _render(self, roles: tuple[str, ...]) -> list[tuple[int, ...]]:
        """The template's own tokens: before the first content, between contents, after the last."""
        from jinja2 import TemplateError

        render = partial(self._tokenizer.apply_chat_template, tokenize=False, add_generation_prompt=True)
        pieces = template_pieces(roles, render, TemplateError)
        return [tuple(self._tokenizer.encode(piece, add_special_tokens=False)) for piece in pieces]

    def _encode_plain(self, text: str) -> tuple[int, ...]:
        try:
            return tuple(self._plain.encode(text, add_special_tokens=False).ids)
        except (TypeError, UnicodeEncodeError) as error:  # half a surrogate pair
            raise EngineError(f"the text cannot be tokenised: {error}") from error


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    if not (folder / "tokenizer.json").is_file():  # transformers would make an empty tokenizer up
        raise ConfigurationError(f"{folder}: no tokenizer.json there")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder}: no tokenizer can be read from it: {error}") from error
    if not tokenizer.chat_template:
        raise ConfigurationError(f"{folder}: the tokenizer has no chat template; use an instruct model")
    return tokenizer
