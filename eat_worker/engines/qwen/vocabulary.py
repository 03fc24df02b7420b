"""What the tokens of a byte-level vocabulary say, in bytes: a token may end within a character.

Knows the tokenizer; knows no chat, no constraint and no model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from eat_worker.errors import ConfigurationError


class Vocabulary:
    """`said[token]` are the bytes of a token, empty for those that decoding skips. `control` are the added tokens:
    what templates write and no text may.
    """

    def __init__(self, tokenizer: Any) -> None:
        added = tokenizer.added_tokens_decoder
        words = tokenizer.get_vocab()
        self.control = frozenset(int(token) for token in added)
        self.said: list[bytes] = [b""] * (max(words.values()) + 1)
        for word, token in words.items():
            if token not in self.control:
                self.said[token] = _bytes_of(word)
            elif not added[token].special:
                self.said[token] = added[token].content.encode()
        if missing := 256 - len({said for said in self.said if len(said) == 1}):
            raise ConfigurationError(f"the vocabulary lacks {missing} of the 256 bytes; use Qwen's own tokenizer")
        # (tokens,) int16: the first byte of each token that a bound answer may use, -1 for the others.
        firsts = [-1 if token in self.control or not said else said[0] for token, said in enumerate(self.said)]
        self.first_bytes = np.array(firsts, dtype=np.int16)

    def __len__(self) -> int:
        return len(self.said)

    def text(self, tokens: Iterable[int], *, cut: bool = False) -> str:
        """What the tokens say. `cut`: they were stopped somewhere, and half a character at the end is left out."""
        text = b"".join(self.said[token] for token in tokens).decode(errors="replace")
        return text.rstrip("\ufffd") if cut else text


def _bytes_of(word: str) -> bytes:
    try:
        return bytes(_BYTES[char] for char in word)
    except KeyError as error:
        raise ConfigurationError(
            f"the vocabulary is not byte-level ({word!r} is a token); the qwen engine reads Qwen's kind of tokenizer"
        ) from error


def _byte_alphabet() -> dict[str, int]:
    """The characters that byte-level vocabularies write bytes with: visible ones stand for themselves, the others are
    moved up to U+0100 and on, in their order.
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(0x100 + at): byte for at, byte in enumerate(hidden)}


_BYTES = _byte_alphabet()
