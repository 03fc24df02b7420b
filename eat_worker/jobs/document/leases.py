"""The leases this process holds, kept alive by one thread, and the reasons for a holder to stop.

Knows claims and time. Knows neither engine nor queue: whoever works on a claim asks `may_continue` between rounds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from eat_worker.errors import EatError, EngineBroken, LeaseLost, StoreUnavailable
from eat_worker.jobs.background import Background
from eat_worker.storage.store import Store
from eat_worker.storage.values import Claim, Lease

log = logging.getLogger(__name__)


class Draining(Exception):
    """This worker was asked to stop: no fault of anything. What it holds goes back to the queue."""


class Withheld(Exception):
    """The document's run was paused or cancelled: no fault of anything. It goes back to the queue."""


class HeldLeases:
    """Every claim this process works on. All methods may be called from many threads.

    `worker` is this process's name in the database and `row` the number of its row there, if it has one. `stop` is set
    when the process was asked to end. `lease_seconds` is how long a claim lives without a beat.
    """

    def __init__(
        self, store: Store, worker: str, lease_seconds: float, stop: threading.Event, row: int | None = None
    ) -> None:
        self.worker = worker
        self.lease_seconds = lease_seconds
        self.stop = stop
        self._store = store
        self._row = row
        self._lock = threading.Lock()
        # By lease and not by document: one that was lost may be claimed here again while its last holder is asleep.
        self._claims: dict[Lease, Claim] = {}
        self._lost: set[Lease] = set()

    @contextmanager
    def holding(self, claim: Claim) -> Iterator[None]:
        """Keep the claim alive while the block lasts."""
        lease = claim.lease
        with self._lock:
            self._claims[lease] = claim
        try:
            yield
        finally:
            with self._lock:
                self._claims.pop(lease, None)
                self._lost.discard(lease)

    def may_continue(self, claim: Claim) -> None:
        """Return when the next round may be asked. Raises LeaseLost or Draining when it may not."""
        if claim.lease in self._lost:
            raise LeaseLost(f"document {claim.document_id} is no longer leased to {claim.worker}")
        if self.stop.is_set():
            raise Draining

    def beat(self) -> None:
        """Extend every lease; mark those that now belong to another worker or were cancelled."""
        with self._lock:
            held = list(self._claims)
        if not held and self._row is None:
            return
        gone = self._store.queue.heartbeat(held, self.lease_seconds, self._row)
        with self._lock:
            # What was put down meanwhile is over and not lost.
            self._lost.update(lease for lease in gone if lease in self._claims)

    def release_all(self, error: EatError | None = None) -> None:
        """Release every claim at once, whatever its holder is doing; its later writes are refused.

        With an engine that broke or is stuck as the `error`, every document in hand counts the break. Raises
        StoreUnavailable.
        """
        with self._lock:
            held = list(self._claims.values())
        for claim in held:
            if isinstance(error, EngineBroken):
                with suppress(LeaseLost):
                    self._store.queue.break_off(claim, reason=str(error))
            else:
                self._store.queue.release(claim, reason="the worker had to end at once")


class Heartbeat(Background):
    """The one thread per process that beats for all claims, three times per lease."""

    def __init__(self, leases: HeldLeases) -> None:
        super().__init__("eat-heartbeat", leases.lease_seconds / 3)
        self._leases = leases

    def _step(self) -> float:
        try:
            self._leases.beat()
        except StoreUnavailable as error:
            # The leases may run out meanwhile; fencing keeps that safe, a quick next beat keeps it rare.
            log.warning("leases could not be extended: %s", error)
            return min(1.0, self._every)
        return self._every
