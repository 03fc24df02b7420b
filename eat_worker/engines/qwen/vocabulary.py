"""What the tokens of a byte-level vocabulary are in bytes: a token may end within a character.

Knows the tokenizer; knows no chat, no constraint and no model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from eat_worker.errors import ConfigurationError


class Vocabulary:
    """`token_bytes[token]` are the bytes of a token, empty for those that decoding skips.

    `control` are the added tokens: what templates write and no text may.
    """

    def __init__(self, tokenizer: Any) -> None:
        added = tokenizer.added_tokens_decoder
        words = tokenizer.get_vocab()
        self.control = frozenset(int(token) for token in added)
        self.token_bytes: list[bytes] = [b""] * (max(words.values()) + 1)
        for word, token in words.items():
            if token not in self.control:
                self.token_bytes[token] = _bytes_of(word)
            elif not added[token].special:
                self.token_bytes[token] = added[token].content.encode()
        if missing := 256 - len({one for one in self.token_bytes if len(one) == 1}):
            raise ConfigurationError(f"the vocabulary lacks {missing} of the 256 bytes; use Qwen's own tokenizer")
        # (tokens,) int16: the first byte of each token that a bound answer may use, -1 for the others.
        firsts = [-1 if token in self.control or not one else one[0] for token, one in enumerate(self.token_bytes)]
        self.first_bytes = np.array(firsts, dtype=np.int16)

    def __len__(self) -> int:
        return len(self.token_bytes)

    def text(self, tokens: Iterable[int], *, cut: bool = False) -> str:
        """The text of the tokens. `cut`: they were stopped somewhere, and half a character at the end is left out."""
        text = b"".join(self.token_bytes[token] for token in tokens).decode(errors="replace")
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
