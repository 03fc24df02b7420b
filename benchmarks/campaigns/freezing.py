"""SIGSTOP: a worker that sleeps past its leases wakes up as a zombie and goes on writing. Every write must be refused.

The other worker takes its documents meanwhile. Counted: writes that the fence refused, and any that it let through.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from campaigns import audit
from campaigns.feeding import LEFT, ROOM, Feed
from campaigns.record import Outcome
from campaigns.run_site import Child, Site, eventually
from campaigns.servers import Postgres, Redis
from eat_worker.errors import EatError
from eat_worker.storage.store import Store, open_store

LEASE_SECONDS = 1.0
# A worker that is frozen in the middle of a transaction locks others out, on SQLite all of them: nothing is taken over
# before it goes on, or before PostgreSQL ends its session (ANSWER_SECONDS of `jobs.worker`). That is not counted.
LONGEST_STOP_SECONDS = 8.0
REFUSED = "nothing was written"
HELD = "SELECT count(*) FROM documents WHERE status = 'running' AND lease_owner = '{owner}'"
FINISH_SECONDS = 300.0
TRIES = 3  # stops at most, for each that is wanted


def freezing(
    outcome: Outcome, folder: Path, *, servers: str, stops: int, seed: int, tell: Callable[[str], None]
) -> None:
    """So many stops past the lease on one pair of servers: postgres (with Redis) or sqlite (with Valkey)."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        settings: dict[str, Any] = {"lease_seconds": LEASE_SECONDS, "concurrency": 4}
        if servers == "postgres":
            database = Postgres()
            stack.callback(database.remove)
            database.await_up()
            broker = Redis(folder / "redis")
            stack.callback(broker.kill)
            broker.await_up()
            settings |= {"database_url": database.create_database(), "broker_url": broker.url}
        site = Site(folder / "site", 2 * LEFT, seconds=0.25, room=ROOM, **settings)
        stack.callback(site.close)
        site.submit()
        store = stack.enter_context(open_store(site.settings.database))
        workers = [site.worker(f"worker{number}") for number in range(2)]
        for worker in workers:
            worker.start()
        feed = Feed(site, store)
        refused: list[int] = []
        locked = 0
        while sum(map(bool, refused)) < stops and len(refused) + locked < TRIES * stops:
            feed()
            worker = chance.choice(workers)
            before = site.log_lines(REFUSED)
            if not _frozen(worker, store, chance):
                locked += 1
                continue
            refused.append(_refused(site, before))
            if len(refused) % 10 == 0:
                tell(f"{len(refused)} stops, {sum(refused)} writes refused, {audit.done(store)} documents done")
        eventually(lambda: audit.done(store) == site.documents, "the end of the run", FINISH_SECONDS, 0.5)
        codes = [worker.end(signal.SIGTERM) for worker in workers]
        outcome.at_least("stops past the lease after which a write was refused", stops, sum(map(bool, refused)))
        _report(outcome, site, store, refused, locked)
        outcome.holds("every worker drains with exit code 0", true=codes == [0, 0])


def _frozen(worker: Child, store: Store, chance: random.Random) -> bool:
    """Stop the worker while it has documents in hand, until others were given all of them; whether that happened."""
    owner = f"{socket.gethostname()}-{worker.pid}"
    eventually(lambda: _held(store, owner), "a worker with documents in hand")
    time.sleep(chance.uniform(0, 0.3))
    worker.send(signal.SIGSTOP)
    try:
        eventually(lambda: _held(store, owner) == 0, "documents of a frozen worker taken over", LONGEST_STOP_SECONDS)
        time.sleep(chance.uniform(0, 0.5))
    except TimeoutError:
        return False
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    return True


def _held(store: Store, owner: str) -> int:
    try:
        return int(audit.query(store, HELD.format(owner=owner))[0][0])
    except EatError:
        return -1


def _refused(site: Site, before: int) -> int:
    """Writes refused since then, after the zombie had time to write."""
    end = time.monotonic() + 3.0
    while site.log_lines(REFUSED) == before and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)
    return site.log_lines(REFUSED) - before


def _report(outcome: Outcome, site: Site, store: Store, refused: list[int], locked: int) -> None:
    found = audit.findings(store, site.documents)
    outcome.counts |= {
        "documents": site.documents,
        "stops past the lease": len(refused),
        "writes refused": sum(refused),
        "stops in the middle of a transaction, which locked the others out (not counted)": locked,
        "documents by status": found.statuses,
        "attempts by outcome": found.outcomes,
        "rounds asked twice": site.requests() - found.rounds,
    }
    outcome.at_most("zombie writes that were not refused", 0, found.zombie_writes + found.duplicated)
    outcome.at_most("lost", 0, found.lost)
    outcome.at_most("half-written", 0, found.half_written)
