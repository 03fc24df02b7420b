"""kill -9, again and again, over workers, broker, database and dispatcher, while a run goes on.

Every death is a SIGKILL: from outside at a random moment, or by the worker's own hand at a named point. Kills follow
the run's progress, so that they are spread over all of it however fast the machine is. Asserts liveness too: the run
must be done soon after the last kill.
"""

from __future__ import annotations

import fcntl
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from campaigns import audit
from campaigns.record import Outcome
from campaigns.run_site import Child, Site, eventually, rounds_of
from campaigns.servers import Postgres, Redis
from campaigns.wrapped_worker import COMMON_POINTS, POINTS
from eat_worker.storage.store import Store, open_store

WORKERS = 2
TICK_SECONDS = 0.05
LOOK_SECONDS = 0.5
DOWN_SECONDS = (0.1, 1.2)
BETWEEN_SECONDS = (0.2, 1.2)
PATIENCE_SECONDS = 6.0  # a kill comes after so long even when the run stands still
FINISH_SECONDS = 60.0
GIVE_UP_SECONDS = 300.0
LEFT_IN_PEACE = 200  # documents at the end of a run at most: time enough for what the kills broke to show
WEIGHTS = {"worker": 24, "broker": 11, "database": 16, "dispatcher": 9}
SETTINGS = {"lease_seconds": 4.0, "slots": 4}


class Crew:
    """The processes of one run and whoever is down among them; started again when their time has come."""

    def __init__(self, site: Site, chance: random.Random, servers: dict[str, Redis | Postgres]) -> None:
        self.site = site
        self.servers = servers
        self.kills: Counter[str] = Counter()
        self.exits: Counter[str] = Counter()
        self.last_kill = time.monotonic()
        self.chance = chance
        self._due: dict[str, float] = {}
        self._points = list(POINTS if "database" in servers else COMMON_POINTS)
        self._waiting: list[str] = []  # points that still have to be struck
        self._ended: set[int] = set()  # processes whose end has been seen
        self.workers = [site.worker(f"worker{number}") for number in range(WORKERS)]
        self.dispatcher = site.dispatcher()
        self._plain = list(self.workers[0].command)

    def start(self) -> None:
        """Start everybody."""
        for child in (*self.workers, self.dispatcher):
            self._start(child)

    def kill(self, victim: str) -> bool:
        """SIGKILL; whether there was something to kill."""
        if victim == "worker":
            # One that carries a point is left to it, where there is another.
            plain = [worker for worker in self.workers if "--crash" not in worker.command]
            worker = self.chance.choice(plain or self.workers)
            killed = worker.runs() and self._kill(worker)
        elif victim == "dispatcher":
            killed = self.dispatcher.runs() and self._kill(self.dispatcher)
        elif victim in self.servers:
            killed = victim not in self._due and self._kill_server(victim)
        else:
            killed = self._kill_embedded()
        if killed:
            self._count(victim)
        return bool(killed)

    def tend(self) -> None:
        """Start again who is down long enough; count those who died by themselves."""
        now = time.monotonic()
        for child in (*self.workers, self.dispatcher):
            if child.code() is not None and child.pid not in self._ended:
                self._see_end(child)
            if not child.runs() and now >= child.due:
                self._start(child)
        for name, due in list(self._due.items()):
            if now >= due:
                del self._due[name]
                self.servers[name].start()

    def disarm(self) -> None:
        """No worker dies at a named point from now on."""
        Path(f"{self.site.struck}.off").touch()

    def drain(self) -> list[int | None]:
        """SIGTERM to everybody; their exit codes."""
        return [child.end(15) for child in (*self.workers, self.dispatcher)]

    def _start(self, child: Child) -> None:
        if child in self.workers:
            child.command = [*self._plain, *self._armed()]
        child.start()

    def _armed(self) -> list[str]:
        """Two workers in three carry a point at which they die; every point comes up before one comes up again."""
        if self.chance.random() < 1 / 3:
            return []
        if not self._waiting:
            self._waiting = self.chance.sample(self._points, len(self._points))
        point = self._waiting.pop()
        hit = self.chance.randint(1, 8) if point in COMMON_POINTS else 1
        return ["--struck", str(self.site.struck), "--crash", point, "--hit", str(hit)]

    def _see_end(self, child: Child) -> None:
        self._ended.add(child.pid)
        child.due = time.monotonic() + self.chance.uniform(*DOWN_SECONDS)
        if child.code() == -9:
            self._count("worker at a named point")
        else:
            self.exits[f"{child.name.rstrip('0123456789')} with {child.code()}"] += 1

    def _kill(self, child: Child) -> bool:
        point = child.command[child.command.index("--crash") + 1] if "--crash" in child.command else None
        child.end()
        self._ended.add(child.pid)
        child.due = time.monotonic() + self.chance.uniform(*DOWN_SECONDS)
        if point and point not in self.site.strikes():
            self._waiting.insert(0, point)
        return True

    def _kill_server(self, name: str) -> bool:
        self.servers[name].kill()
        self._due[name] = time.monotonic() + self.chance.uniform(*DOWN_SECONDS)
        return True

    def _kill_embedded(self) -> bool:
        state = self.site.settings.state
        try:
            server = psutil.Process(int((state / "broker.pid").read_text()))
            if str(state) not in " ".join(server.cmdline()):
                return False
            server.kill()
        except (OSError, ValueError, psutil.Error):
            return False
        return True

    def _count(self, victim: str) -> None:
        self.kills[victim] += 1
        self.last_kill = time.monotonic()


class Look:
    """How many documents are done, asked now and then: asking must not slow the run down."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next = 0.0
        self.done = 0

    def __call__(self) -> int:
        if time.monotonic() >= self._next:
            self.done = max(self.done, audit.done(self._store))
            self._next = time.monotonic() + LOOK_SECONDS
        return self.done


def loop(
    crew: Crew,
    look: Look,
    kills: int,
    points: int,
    *,
    tell: Callable[[str], None],
    patience: float = PATIENCE_SECONDS,
) -> None:
    """So many kills, of every kind and at so many named points, spread over the run but for its end.

    One after `patience` seconds in any case; none any more when the run is done, which then has missed a goal.
    """
    chance, documents = crew.chance, crew.site.documents
    victims = _victims(crew)
    victim = next(victims)
    last = documents - min(documents / 10, LEFT_IN_PEACE)
    places = sorted(chance.uniform(documents / 50, last) for _ in range(kills))
    while look() < documents and (crew.kills.total() < kills or not _every_kind(crew) or _struck(crew) < points):
        number = crew.kills.total()
        wait(crew, chance.uniform(*BETWEEN_SECONDS), lambda: False)
        wait(crew, patience, partial(_is_time, crew, look, number, places[min(number, kills - 1)]))
        if crew.kills.total() == number and crew.kill(victim):
            victim = next(victims)
        if number and number % 25 == 0 and crew.kills.total() > number:
            tell(f"{crew.kills.total()} kills, {look()} of {documents} done")


def _every_kind(crew: Crew) -> bool:
    """Whether every kind of victim was killed from outside."""
    return all(crew.kills[one] for one in victims_of(crew))


def _struck(crew: Crew) -> int:
    """How many different named points a worker has died at."""
    return len(set(crew.site.strikes()))


def victims_of(crew: Crew) -> dict[str, int]:
    """Whom there is to kill, with the weight of each; SQLite is no process."""
    return {name: weight for name, weight in WEIGHTS.items() if name != "database" or name in crew.servers}


def _victims(crew: Crew) -> Iterator[str]:
    """Who is killed, in this order: one of each kind, as named points may take many of the kills, then by weight."""
    weights = victims_of(crew)
    yield from crew.chance.sample(list(weights), len(weights))
    while True:
        yield from crew.chance.choices(list(weights), list(weights.values()))


def _is_time(crew: Crew, look: Look, number: int, place: float) -> bool:
    """Whether the run has come to the place of this kill, or a worker died by its own hand."""
    return look() >= place or crew.kills.total() > number


def wait(crew: Crew, seconds: float, until: Callable[[], bool]) -> None:
    """Tend the crew for so long, or until something holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        crew.tend()
        if until():
            return
        time.sleep(TICK_SECONDS)


def undisturbed(folder: Path, documents: int) -> str:
    """The digest of the same corpus, annotated by one worker that nothing happens to; made once for all who ask."""
    kept = folder / f"undisturbed-{documents}"
    with (folder / "undisturbed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(_undisturbed(folder / "undisturbed", documents))
        return kept.read_text()


def _undisturbed(folder: Path, documents: int) -> str:
    site = Site(folder, documents, broker_url="none", concurrency=4)
    try:
        site.submit()
        worker = site.worker()
        worker.start()
        with open_store(site.settings.database) as store:
            eventually(lambda: audit.done(store) == documents, "the undisturbed run", 3600, 0.5)
            worker.end(15)
            return audit.digest(store)
    finally:
        site.close()


def kill_loop(
    outcome: Outcome,
    folder: Path,
    *,
    servers: str,
    documents: int,
    kills: int,
    points: int,
    seed: int,
    digest: str,
    tell: Callable[[str], None],
) -> None:
    """One loop; what it found goes into `outcome`. `servers`: postgres (with Redis) or sqlite (with Valkey).

    `points` is how many named points must be struck at least, `digest` what the annotations must be.
    """
    chance = random.Random(seed)
    with ExitStack() as stack:
        there: dict[str, Any] = {}
        settings: dict[str, Any] = dict(SETTINGS)
        if servers == "postgres":
            there["database"] = database = Postgres()
            stack.callback(database.remove)
            database.await_up()
            there["broker"] = broker = Redis(folder / "redis")
            stack.callback(broker.kill)
            broker.await_up()
            settings |= {"database_url": database.create_database(), "broker_url": broker.url}
        site = Site(folder / "site", documents, seconds=0.02, **settings)
        stack.callback(site.close)
        site.submit()
        store = stack.enter_context(open_store(site.settings.database))
        crew, look = Crew(site, chance, there), Look(store)
        crew.start()
        loop(crew, look, kills, points, tell=tell)
        crew.disarm()
        at_work = audit.done(store) < documents
        tell(f"{crew.kills.total()} kills, {look()} of {documents} done; now it is left in peace")
        wait(crew, GIVE_UP_SECONDS, lambda: look() == documents)
        finished = time.monotonic() - crew.last_kill
        codes = crew.drain()
        _report(outcome, crew, store, finished)
        outcome.at_least("SIGKILLs", kills, crew.kills.total())
        outcome.holds(
            "every kind of victim was killed, and the run was at work to the last kill",
            true=at_work and _every_kind(crew),
        )
        outcome.at_least("named points struck", points, _struck(crew))
        outcome.holds("annotations byte-identical to an undisturbed run", true=audit.digest(store) == digest)
        # -15: a worker that was just being started, and had not yet said what SIGTERM is to do.
        outcome.holds("every process drains with exit code 0", true=set(codes) <= {0, -15})


def _report(outcome: Outcome, crew: Crew, store: Store, finished: float) -> None:
    site = crew.site
    documents, kills = site.documents, crew.kills.total()
    found = audit.findings(store, documents)
    strikes = Counter(site.strikes())
    wasted = site.requests() - found.rounds
    in_flight = WORKERS * site.settings.documents_at_once
    outcome.counts |= {
        "documents": documents,
        "kills": dict(crew.kills),
        "named points struck": dict(sorted(strikes.items())),
        "documents by status": found.statuses,
        "attempts by outcome": found.outcomes,
        "rounds stored": found.rounds,
        "rounds asked": site.requests(),
        "documents in flight": in_flight,
        "processes that ended by themselves and were started again": dict(crew.exits),
        "leases that were lost while worked on": site.log_lines("dropped: "),
        "seconds from the last kill to the end": round(finished, 1),
    }
    outcome.at_most("lost", 0, found.lost)
    outcome.at_most("duplicated", 0, found.duplicated)
    outcome.at_most("half-written", 0, found.half_written)
    outcome.at_most("rounds written by a zombie", 0, found.zombie_writes)
    outcome.at_most("seconds from the last kill to the end", FINISH_SECONDS, round(finished, 1))
    outcome.at_most("wasted rounds (kills x documents in flight)", kills * in_flight, wasted)
    outcome.holds("no round stored twice or missing", true=found.rounds == rounds_of(documents))
