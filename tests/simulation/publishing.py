"""What the product's dispatcher publishes with: one message after the other, and anything may happen between.

Knows the broker and the window. Knows nothing of what becomes of a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swarm import SLOW_SECONDS

from eat_worker.errors import BrokerUnavailable
from eat_worker.storage.values import Hint

if TYPE_CHECKING:
    from workers import Worker

# Within so long no hint is thought lost; a hair less than the product says, whose clock is rounded.
HINT_SECONDS = 1.9


class Publisher:
    """The publisher of one process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def publish(self, hints: Sequence[Hint]) -> None:
        """Send the hints. Raises BrokerUnavailable."""
        worker, world = self._worker, self._worker.world
        for hint in hints:
            self._check(hint)
            if world.strikes("crash_before_publish"):
                worker.crash("before it published a hint")
            world.broker.put(hint)
            world.met["hint_sent"] += 1
            if world.strikes("crash_after_publish"):
                worker.crash("after it published a hint")
            if world.strikes("publish_breaks_off"):
                raise BrokerUnavailable("the connection was lost while hints were sent")
        for queue in {hint.queue for hint in hints}:
            lying, most = len(world.broker.queues.get(queue, ())), world.plan.window * world.plan.workers
            if lying > most + world.broker.surplus:
                world.violate(f"{lying} messages lie in {queue}, and {world.plan.window} is the window")

    def _check(self, hint: Hint) -> None:
        """No hint is sent again at once: nothing can have become of the first one yet."""
        world, key = self._worker.world, (hint.document_id, hint.attempt)
        # What was taken before a run was resumed may be sent only after it, and once more.
        forgotten = world.resuming or world.now - world.resumed_at < HINT_SECONDS + SLOW_SECONDS
        if world.now - world.hinted.get(key, 0.0) < HINT_SECONDS and not forgotten:
            world.violate(f"document {hint.document_id}: hinted twice within {HINT_SECONDS} s")
        world.hinted[key] = world.now

    def waiting(self, queue: str) -> int:
        """Messages that lie in a queue. Raises BrokerUnavailable."""
        return self._worker.world.broker.waiting(queue)
