"""From rows to messages: keeps a bounded window of hints in front of the workers, and sends lost ones again.

Knows the store and a publisher. Crash-only: it keeps nothing that the database does not know, so it may die at any
point, and any number may run.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from eat_worker.errors import EatError
from eat_worker.jobs.background import Background
from eat_worker.retry import Backoff
from eat_worker.storage.store import Store
from eat_worker.storage.values import Hint

log = logging.getLogger(__name__)

IDLE = Backoff(0.2, 1.0, steady=1.0)  # while nothing is ready
RETRY = Backoff(0.5, 15.0)
# A hint that nobody took is lost for certain when its queue is empty, and after this long it is thought lost anyway:
# one message can vanish between the broker and a worker that dies while the queue stays full.
STALE_SECONDS = 600.0
STALE_IN_EMPTY_QUEUE_SECONDS = 2.0


class Publisher(Protocol):
    """What the dispatcher needs of a broker."""

    def publish(self, hints: Sequence[Hint]) -> None:
        """Send the hints. Raises BrokerUnavailable; some may have been sent then, and are harmless sent again."""
        ...

    def waiting(self, queue: str) -> int:
        """Messages that lie in a queue. Raises BrokerUnavailable."""
        ...


class Dispatcher(Background):
    """Publishes what the database holds ready. `queues` are those whose workers live in this process.

    `window` bounds the hints that are out per queue. `revive` is called when the broker does not answer.
    """

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        *,
        queues: Collection[str],
        window: int,
        revive: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__("eat-dispatcher", RETRY.first, at_once=True)
        self._store = store
        self._publisher = publisher
        self._queues = frozenset(queues)
        self._window = window
        self._revive = revive
        self._empty = 0  # cycles in a row that sent nothing
        self._failures = 0  # in a row

    def cycle(self) -> int:
        """Fill the window once; the number of hints sent. Raises BrokerUnavailable or StoreUnavailable.

        The broker is asked first: with a broker that is away no hint is taken, and so none is lost.
        """
        waiting = {queue: self._publisher.waiting(queue) for queue in sorted(self._queues)}
        stale = STALE_SECONDS if any(waiting.values()) else STALE_IN_EMPTY_QUEUE_SECONDS
        hints = self._store.queue.take_hints(self._window, window=self._window, stale_after=stale)
        fitting = self._fitting(hints, waiting)
        if fitting:
            self._publisher.publish(fitting)
        return len(fitting)

    def _fitting(self, hints: Sequence[Hint], waiting: dict[str, int]) -> list[Hint]:
        """The hints that their queues have room for: a queue without workers must not grow with every repetition."""
        for queue in {hint.queue for hint in hints} - waiting.keys():
            waiting[queue] = self._publisher.waiting(queue)
        sent: Counter[str] = Counter()
        fitting = []
        for hint in hints:
            if waiting[hint.queue] + sent[hint.queue] < self._window:
                sent[hint.queue] += 1
                fitting.append(hint)
        return fitting

    def _step(self) -> float:
        try:
            sent = self.cycle()
        except EatError as error:
            return self._failed(error)
        self._failures = 0
        self._empty = 0 if sent else self._empty + 1
        return IDLE.pause(self._empty + 1)

    def _failed(self, error: EatError) -> float:
        """Seconds to wait before the next cycle, after an attempt to bring the broker back."""
        log.warning("hints could not be sent: %s", error)
        try:
            self._revive()
        except EatError as second:
            log.warning("%s", second)
        self._failures += 1
        return RETRY.pause(self._failures)
