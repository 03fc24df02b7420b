"""From rows to messages: keeps a bounded window of hints in front of the workers, and sends lost ones again.

Knows the store and a publisher. Crash-only: it keeps nothing that the database does not know, so it may die at any
point, and any number may run.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from eat_worker.errors import EatError
from eat_worker.storage.store import Store
from eat_worker.storage.values import Hint

log = logging.getLogger(__name__)

BUSY_SECONDS = 0.2
IDLE_SECONDS = 1.0
FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 15.0
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


@dataclass(slots=True)
class Health:
    """How a dispatcher fares; instants are of `time.monotonic`, None before the first.

    `waiting` counts the messages of each queue when it last looked; `failing_since` is None while all is well.
    """

    last_cycle_ok_at: float | None = None
    last_publish_ok_at: float | None = None
    failing_since: float | None = None
    waiting: dict[str, int] = field(default_factory=dict)


class Dispatcher:
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
        self.health = Health()
        self._store = store
        self._publisher = publisher
        self._queues = frozenset(queues)
        self._window = window
        self._revive = revive
        self._wake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="eat-dispatcher", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._wake.set()
        self._thread.join()

    def nudge(self) -> None:
        """Look at once: a document became ready."""
        self._wake.set()

    def cycle(self) -> int:
        """Fill the window once; the number of hints sent. Raises BrokerUnavailable or StoreUnavailable.

        The broker is asked first: with a broker that is away no hint is taken, and so none is lost.
        """
        waiting = {queue: self._publisher.waiting(queue) for queue in sorted(self._queues)}
        self.health.waiting = dict(waiting)
        stale = STALE_SECONDS if any(waiting.values()) else STALE_IN_EMPTY_QUEUE_SECONDS
        hints = self._store.queue.take_hints(self._window, window=self._window, stale_after=stale)
        fitting = self._fitting(hints, waiting)
        if fitting:
            self._publisher.publish(fitting)
            self.health.last_publish_ok_at = time.monotonic()
        self.health.last_cycle_ok_at = time.monotonic()
        self.health.failing_since = None
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

    def _run(self) -> None:
        retry = FIRST_RETRY_SECONDS
        idle = BUSY_SECONDS
        while not self._ended:
            try:
                idle = BUSY_SECONDS if self.cycle() else min(2 * idle, IDLE_SECONDS)
                retry = FIRST_RETRY_SECONDS
                pause = idle
            except EatError as error:
                pause = self._failed(error, retry)
                retry = min(2 * retry, LONGEST_RETRY_SECONDS)
            except Exception:
                # Liveness is what breaks in queues: this thread outlives any fault and says so.
                log.exception("the dispatcher failed; it goes on")
                pause = retry
            self._wake.wait(pause)
            self._wake.clear()

    def _failed(self, error: EatError, longest: float) -> float:
        """Seconds to wait before the next cycle: full jitter, and at once when the broker could be brought back."""
        self.health.failing_since = self.health.failing_since or time.monotonic()
        log.warning("hints could not be sent: %s", error)
        try:
            self._revive()
        except EatError as second:
            log.warning("%s", second)
        return random.uniform(0, longest)
