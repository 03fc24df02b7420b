"""The broker loses everything, the database goes away: nobody is restarted, and work goes on soon after.

FLUSHALL on the broker while hints are out; the database stopped at once, as by a crash, and started again after a
while. Measures how soon the next stage is committed after the fault has ended.
"""

from __future__ import annotations

import json
import random
import signal
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from campaigns import audit
from campaigns.feeding import LEFT, ROOM, Feed
from campaigns.record import Outcome
from campaigns.run_site import Child, Site, eventually
from campaigns.servers import Postgres, Redis
from eat_worker.errors import EatError
from eat_worker.storage.store import Store, open_store

WORKERS = 2
RESUME_SECONDS = 30.0
FINISH_SECONDS = 600.0
COMMITS = "SELECT count(*) FROM attempts WHERE outcome = 'committed' AND ended_at > {since}"
Tell = Callable[[str], None]


def committed_since(store: Store, since: float) -> int:
    """Stages committed after an instant (seconds since the epoch), 0 while the database is away."""
    try:
        return int(audit.query(store, COMMITS.format(since=since))[0][0])
    except EatError:
        return 0


class Scene:
    """PostgreSQL, Redis, a run on both and workers that are never restarted."""

    def __init__(self, stack: ExitStack, folder: Path, **settings: object) -> None:
        self.database = Postgres()
        stack.callback(self.database.remove)
        self.database.await_up()
        self.broker = Redis(folder / "redis")
        stack.callback(self.broker.kill)
        self.broker.await_up()
        url = self.database.create_database()
        given = {
            "database_url": url,
            "broker_url": self.broker.url,
            "lease_seconds": 10.0,
            "concurrency": 4,
            **settings,
        }
        self.site = Site(folder / "site", 2 * LEFT, seconds=0.1, room=ROOM, **given)
        stack.callback(self.site.close)
        self.site.submit()
        self.store = stack.enter_context(open_store(url))
        self.workers: list[Child] = [self.site.worker(f"worker{number}") for number in range(WORKERS)]
        for worker in self.workers:
            worker.start()
        self.feed = Feed(self.site, self.store)
        eventually(lambda: audit.done(self.store), "the first document")

    def hints(self) -> int:
        """Messages that lie in the broker now, taken by no worker."""
        (queues,) = {row[0] for row in audit.query(self.store, "SELECT queues_json FROM runs")}
        names = sorted(set(json.loads(queues).values()))
        replies = [self.broker.ask(b"LLEN " + name.encode()) for name in names]
        return sum(int(reply[1:]) for reply in replies if reply.startswith(b":"))

    def resumed(self, since: float) -> float:
        """Seconds from an instant until the next stage was committed; RESUME_SECONDS x 4 when none was."""
        try:
            eventually(lambda: committed_since(self.store, since), "the next commit", 4 * RESUME_SECONDS)
        except TimeoutError:
            return 4 * RESUME_SECONDS
        return time.time() - since

    def finish(self) -> None:
        """Wait until everything is done."""
        documents = self.site.documents
        eventually(lambda: audit.done(self.store) == documents, "the end of the run", FINISH_SECONDS, 0.5)

    def report(self, outcome: Outcome, resumed: list[float]) -> None:
        """What holds after every kind of outage."""
        restarts = sum(worker.starts - 1 for worker in self.workers) + sum(not w.runs() for w in self.workers)
        found = audit.findings(self.store, self.site.documents)
        outcome.counts |= {
            "documents": self.site.documents,
            "documents by status": found.statuses,
            "attempts by outcome": found.outcomes,
            "rounds asked twice": self.site.requests() - found.rounds,
            "median seconds until the next commit": round(statistics.median(resumed), 1),
        }
        outcome.at_most("lost", 0, found.lost)
        outcome.at_most("duplicated", 0, found.duplicated)
        outcome.at_most("half-written", 0, found.half_written)
        outcome.at_most("rounds written by a zombie", 0, found.zombie_writes)
        outcome.at_most("longest seconds until the next commit", RESUME_SECONDS, round(max(resumed), 1))
        outcome.at_most("workers that ended", 0, restarts)


def flushed(outcome: Outcome, folder: Path, *, flushes: int, seed: int, tell: Tell) -> None:
    """So many FLUSHALLs, each while the run is at work."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        scene = Scene(stack, folder, window=16)
        resumed, hints = [], []
        for number in range(flushes):
            time.sleep(chance.uniform(0.2, 2.0))
            scene.feed()
            hints.append(scene.hints())
            since = time.time()
            if not scene.broker.flush():
                raise RuntimeError("the broker did not take FLUSHALL")
            # What was in hand goes on anyway: only a document begun after the flush shows that hints come again.
            began = "SELECT count(*) FROM documents WHERE started_at > {since} AND finished_at IS NOT NULL"
            query = began.format(since=since)
            eventually(lambda sql=query: audit.query(scene.store, sql)[0][0], "a new document", 4 * RESUME_SECONDS)
            resumed.append(time.time() - since)
            if number % 5 == 4:
                tell(f"{number + 1} flushes, {audit.done(scene.store)} of {scene.site.documents} done")
        scene.finish()
        outcome.counts["hints that lay in the broker at each flush"] = hints
        outcome.at_least("FLUSHALLs", flushes, len(resumed))
        outcome.at_least("hints that were lost by them", flushes, sum(hints))
        scene.report(outcome, resumed)


def away(outcome: Outcome, folder: Path, *, seconds: list[float], seed: int, tell: Tell) -> None:
    """The database stopped for each of these durations, in an order that the seed gives."""
    chance = random.Random(seed)
    order = chance.sample(seconds, len(seconds))
    with ExitStack() as stack:
        scene = Scene(stack, folder)
        resumed = []
        for number, duration in enumerate(order):
            time.sleep(chance.uniform(1.0, 3.0))
            scene.feed()
            if chance.random() < 0.5:
                scene.database.stop(signal.SIGQUIT)
            else:
                scene.database.kill()
            scene.store.close()
            time.sleep(duration)
            scene.database.start()
            scene.database.await_up()
            resumed.append(scene.resumed(time.time()))
            tell(f"outage {number + 1} of {duration:.0f} s: the next commit {resumed[-1]:.1f} s after it")
        scene.finish()
        outcome.counts["seconds of each outage"] = [round(duration, 1) for duration in order]
        outcome.at_least("outages", len(order), len(resumed))
        scene.report(outcome, resumed)
