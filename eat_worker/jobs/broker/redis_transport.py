"""Redis as Celery's transport, with an end to every wait.

redis-py waits for ever for the rest of a message on a publish/subscribe connection, whatever `socket_timeout` says, and
Celery reads it in the thread that fetches all messages: a message that breaks off silences the worker.
Knows kombu's classes; knows no queue.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from kombu.utils.objects import cached_property

ANSWER_SECONDS = 5.0


class Channel(redis.Channel):
    """kombu's channel. What is not whole within `ANSWER_SECONDS` is a lost connection."""

    @cached_property
    def subclient(self) -> Any:
        """The publish/subscribe connection, which carries remote control and events."""
        pubsub = self._create_client(asynchronous=True).pubsub()  # type: ignore[no-untyped-call]  # kombu's own
        pubsub.parse_response = partial(pubsub.parse_response, block=False, timeout=ANSWER_SECONDS)
        return pubsub


class Transport(redis.Transport):
    """kombu's transport with these channels."""

    Channel = Channel


def register() -> None:
    """Have every connection of this process to redis://, rediss:// or redis+socket:// use this transport."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
