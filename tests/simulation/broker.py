"""A broker that loses, doubles, reorders and forgets messages, and goes away.

Knows messages as the product's publisher spells them, and nothing of documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

from turns import Agenda, Event

from eat_worker.errors import BrokerUnavailable
from eat_worker.jobs.broker.messages import from_arguments, to_arguments
from eat_worker.storage.values import Hint


@dataclass(frozen=True, slots=True)
class Message:
    """One message in a queue; a copy has the same arguments and another number."""

    number: int
    queue: str
    arguments: list[Any]

    def hint(self) -> Hint:
        """What the consumer reads."""
        return from_arguments(*self.arguments)


class Broker:
    """The queues, and what is out to consumers and not acknowledged."""

    def __init__(self, agenda: Agenda, chance: Random, strikes: Callable[[str], bool]) -> None:
        self.is_away = False
        self.queues: dict[str, list[Message]] = {}
        self.surplus = 0  # messages that the broker made itself: copies and redeliveries
        self._out: dict[int, Message] = {}
        self._chance = chance
        self._strikes = strikes
        self._numbers = count(1)
        self._arrived = Event(agenda)

    def put(self, hint: Hint) -> None:
        """Take one message, or lose it, or take it twice. Raises BrokerUnavailable."""
        self._answer()
        copies = 1
        if self._strikes("message_lost"):
            copies = 0
        elif self._strikes("message_doubled"):
            copies = 2
            self.surplus += 1
        for _ in range(copies):
            self._queue(hint.queue, to_arguments(hint))

    def waiting(self, queue: str) -> int:
        """Messages in the queue. Raises BrokerUnavailable."""
        self._answer()
        return len(self.queues.get(queue, ()))

    def take(self, queues: Sequence[str], stop: Event) -> Message | None:
        """The next message of these queues, waited for; None when the wait was in vain."""
        lying = [] if self.is_away or stop.is_set() else [queue for queue in queues if self.queues.get(queue)]
        if not lying:
            self._arrived.clear()
            self._arrived.wait(30.0)
            return None
        messages = self.queues[self._chance.choice(lying)]
        overtakes = len(messages) > 1 and self._strikes("message_overtakes")
        at = self._chance.randrange(1, len(messages)) if overtakes else 0
        message = messages.pop(at)
        self._out[message.number] = message
        return message

    def acknowledge(self, message: Message) -> None:
        """The consumer is done with it."""
        self._out.pop(message.number, None)

    def forget(self) -> int:
        """Everything is lost: FLUSHALL, or a restart without a log; how many messages that were."""
        lost = sum(map(len, self.queues.values())) + len(self._out)
        self.queues.clear()
        self._out.clear()
        return lost

    def redeliver(self) -> int:
        """Whatever is not acknowledged is thought lost by the broker and lies in its queue again; how many."""
        self.surplus += len(self._out)
        for message in self._out.values():
            self._queue(message.queue, message.arguments)
        return len(self._out)

    def drop(self, messages: Sequence[Message], *, lost: bool) -> None:
        """The consumer of these died: they lie in their queue again, or are lost between the two."""
        for message in messages:
            if self._out.pop(message.number, None) and not lost:
                self.surplus += 1
                self._queue(message.queue, message.arguments)

    def wake(self) -> None:
        """Let every consumer look again."""
        self._arrived.set()

    def _queue(self, queue: str, arguments: list[Any]) -> None:
        self.queues.setdefault(queue, []).append(Message(next(self._numbers), queue, arguments))
        self._arrived.set()

    def _answer(self) -> None:
        if self.is_away:
            raise BrokerUnavailable("the broker is away")
