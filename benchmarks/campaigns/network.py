"""Between the workers and their servers a network that misbehaves: late, cut, half-open, full of garbage.

The worker's only way to PostgreSQL and Redis leads through two proxies. Nobody is restarted. Measured for every event
is how long the worker commits nothing: from the event's end where it lasts, from its begin where the worker itself
must notice. Of connections that are dead and say nothing, how long it waits for the last of them is counted too.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from campaigns import audit
from campaigns.feeding import LEFT, ROOM, Feed
from campaigns.record import Outcome
from campaigns.run_site import Site, eventually
from campaigns.servers import Postgres, Redis, free_port
from campaigns.tcp_proxy import Proxy
from eat_worker.storage.store import Store, open_store

KINDS = ("delay", "cut", "half-open", "garbage")
DELAYS = (0.2, 1.0)
DELAY_LASTS = (2.0, 6.0)
FINISH_SECONDS = 600.0


def network(
    outcome: Outcome,
    folder: Path,
    *,
    events: int,
    kinds: Sequence[str] = KINDS,
    lease: float,
    seed: int,
    tell: Callable[[str], None],
) -> None:
    """So many events, each kind on each server in turn. No gap may be longer than a lease."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        database, broker = Postgres(free_port()), Redis(folder / "redis", port=free_port())
        stack.callback(database.remove)
        stack.callback(broker.kill)
        database.await_up()
        broker.await_up()
        database.create_database()
        proxies = {name: stack.enter_context(Proxy(server.port)) for name, server in _named(database, broker)}
        ways = {"database_url": database.url("eat", proxies["database"].port)}
        ways["broker_url"] = f"redis://127.0.0.1:{proxies['broker'].port}/0"
        site = Site(folder / "site", 2 * LEFT, seconds=0.1, room=ROOM, lease_seconds=lease, **ways)
        stack.callback(site.close)
        site.submit()
        store = stack.enter_context(open_store(database.url("eat")))
        feed = Feed(site, store, database.url("eat"))
        worker = site.worker()
        worker.start()
        eventually(lambda: audit.done(store), "the first document")
        gaps: dict[str, list[float]] = defaultdict(list)
        turns = [(kinds[at % len(kinds)], ("database", "broker")[(at + at // len(kinds)) % 2]) for at in range(events)]
        for kind, name in chance.sample(turns, events):
            time.sleep(chance.uniform(0.5, 2.0))
            gaps[f"{kind}, {name}"].append(_event(kind, proxies[name], feed, chance, 3 * lease))
            tell(f"{kind} on the way to the {name}: {gaps[f'{kind}, {name}'][-1]:.1f} s without a commit")
        eventually(lambda: audit.done(store) == site.documents, "the end of the run", FINISH_SECONDS, 0.5)
        alive = worker.runs()
        found = audit.findings(store, site.documents)
        every = [gap for kind in gaps.values() for gap in kind]
        outcome.counts |= {
            "documents": site.documents,
            "lease in seconds": lease,
            "events": {name: len(kind) for name, kind in sorted(gaps.items())},
            "longest seconds without a commit": {name: round(max(kind), 1) for name, kind in sorted(gaps.items())},
            "median seconds without a commit": round(statistics.median(every), 1),
            "documents by status": found.statuses,
            "attempts by outcome": found.outcomes,
            "rounds asked twice": site.requests() - found.rounds,
        }
        outcome.at_least("events", events, len(every))
        outcome.at_most("longest seconds without a commit (a lease)", lease, round(max(every), 1))
        outcome.holds("the worker was never restarted", true=alive)
        outcome.at_most("leases that ran out", 0, found.outcomes.get("expired", 0))
        outcome.at_most("lost", 0, found.lost)
        outcome.at_most("duplicated", 0, found.duplicated)
        outcome.at_most("half-written", 0, found.half_written)


def _named(database: Postgres, broker: Redis) -> list[tuple[str, Postgres | Redis]]:
    return [("database", database), ("broker", broker)]


def _event(kind: str, proxy: Proxy, feed: Feed, chance: random.Random, patience: float) -> float:
    """Let it happen; the seconds without a commit after it, `patience` when there was none for so long.

    Dead connections stay open until the worker gives them up, and a thread that hangs on one is counted as no commit.
    """
    feed()
    if kind == "delay":
        proxy.delay = chance.uniform(*DELAYS)
        time.sleep(chance.uniform(*DELAY_LASTS))
        proxy.delay = 0.0
    elif kind == "cut":
        proxy.cut()
    elif kind == "half-open":
        proxy.freeze()
    else:
        proxy.garble(chance)
    since = time.time()
    # Idle connections of a pool are found dead only when they are used.
    settle = 3.0 if kind == "half-open" else 0.0

    def over() -> bool:
        feed()
        silent = kind == "half-open" and proxy.silent_for() > 0
        # Documents that were begun later show that the whole way works again, not only what was in hand.
        return not silent and time.time() - since > settle and _begun_and_done(feed.store, since)

    try:
        eventually(over, "a commit", patience)
    except TimeoutError:
        proxy.cut()
        return patience
    return time.time() - since


def _begun_and_done(store: Store, since: float) -> bool:
    sql = f"SELECT count(*) FROM documents WHERE started_at > {since} AND finished_at IS NOT NULL"
    return bool(audit.query(store, sql)[0][0])
