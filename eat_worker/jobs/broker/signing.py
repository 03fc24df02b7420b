"""Messages signed with a key that all workers share, for brokers that others can write to.

A forged hint can do no more than make a worker look at a document in vain; a signature saves it that. Knows words and
a key. Knows neither Celery nor hints.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence

from eat_worker.errors import ConfigurationError
from eat_worker.settings import Settings, read_secret

SHORTEST = 16  # characters; a key that can be guessed signs nothing


class Signer:
    """HMAC-SHA256 over a message's arguments. Without a key every message is taken and none is signed."""

    def __init__(self, key: str = "") -> None:
        self._key = key.encode()

    def sign(self, words: Sequence[object]) -> str:
        """The signature of these arguments, hexadecimal; "" without a key."""
        if not self._key:
            return ""
        return hmac.new(self._key, json.dumps(list(words)).encode(), hashlib.sha256).hexdigest()

    def accepts(self, words: Sequence[object], signature: object) -> bool:
        """Whether the signature belongs to the arguments; always, without a key."""
        if not self._key:
            return True
        return isinstance(signature, str) and hmac.compare_digest(self.sign(words).encode(), signature.encode())


def open_signer(settings: Settings) -> Signer:
    """The signer of these settings. Raises ConfigurationError when the key cannot be read or is too short."""
    if not settings.message_key_file:
        return Signer()
    key = read_secret("message_key_file", settings.message_key_file)
    if len(key) < SHORTEST:
        raise ConfigurationError(
            f"message_key_file: the key in {settings.message_key_file} is shorter than {SHORTEST} characters; "
            "make one with: openssl rand -hex 32"
        )
    return Signer(key)
