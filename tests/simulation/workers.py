"""One simulated worker process: the product's own parts, put together as the product does it.

Claims, rounds, commits, heartbeat, dispatcher, pool, watchdog and spool are the product's; its threads are tasks here,
its process can be killed, frozen, drained and started again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from answers import Answers
from broker import Message
from corpus import write_script
from database import Client
from disk import MachineSpool
from publishing import Publisher
from swarm import DRAIN_SECONDS, LEASE_SECONDS, MAX_FAULTS, SLOW_SECONDS, STUCK_SECONDS
from turns import Event, Killed, Task
from world import World

from eat_worker.engines.scripted import Scripted
from eat_worker.errors import EatError, EngineBroken, StoreUnavailable
from eat_worker.jobs.background import Background
from eat_worker.jobs.broker.dispatcher import Dispatcher
from eat_worker.jobs.document.advance import Advancer
from eat_worker.jobs.document.leases import Heartbeat, HeldLeases
from eat_worker.jobs.document.stages import Tools
from eat_worker.jobs.monitor.engine import Watchdog
from eat_worker.jobs.monitor.metrics import Metrics
from eat_worker.jobs.shutdown import BROKEN_SECONDS, RELEASE_SECONDS
from eat_worker.jobs.worker import Pool
from eat_worker.method.document import Stage
from eat_worker.storage.engine import Database
from eat_worker.storage.queue import Queue
from eat_worker.storage.store import Store
from eat_worker.storage.values import Claim, Lease


class Shared:
    """What costs too much to make for every process of every seed, and keeps nothing of any."""

    def __init__(self, folder: Path) -> None:
        self.scripted = Scripted(write_script(folder), slots=1)
        self.spool = folder / "spool"
        self.metrics = Metrics()


class Worker(Client):
    """A process from its start to its end. `on_end` is called once, when it is gone."""

    def __init__(
        self, world: World, shared: Shared, name: str, queues: Sequence[str], *, on_end: Callable[[], None]
    ) -> None:
        self.world = world
        self.name = name
        self.process = world.begin_process(name)
        self.number = world.processes
        self.queues = sorted(queues)
        self.stop = Event(world)
        self.is_alive = True
        self.engine = Answers(self, shared.scripted)
        self.store = Store(world.ground.database(self))
        self.store.queue = _Queue(self.store.database, self)
        self.held = HeldLeases(self.store, name, LEASE_SECONDS, self.stop)  # type: ignore[arg-type]  # a virtual Event
        self.heartbeat: Task | None = None
        self._on_end = on_end
        self._error: EatError | None = None
        self.starved_until = 0.0
        self._is_frozen = False
        self._is_ending = False
        self._tasks: list[Task] = []
        self._slots = 0
        self._idle = Event(world)
        self._messages: dict[Task, Message] = {}
        self._spool = MachineSpool(self, shared.spool)
        self._metrics = shared.metrics
        self._begin("main", self._main)

    # -- what happens to it --------------------------------------------------------------------------------------

    def die(self, why: str, *, by_document: bool = False) -> None:
        """As kill -9: nothing of it runs again, and what it had in hand stays as it is."""
        if not self.is_alive:
            return
        self.world.met["worker_died"] += 1
        self.world.deaths_by_chance += not by_document
        self.world.note(self.name, f"dies {why}")
        self._end(lost=self.world.chance.random() < 0.5)

    def crash(self, why: str, *, by_document: bool = False) -> None:
        """Die, called from one of its own tasks."""
        self.die(why, by_document=by_document)
        raise Killed

    def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        self.world.note(self.name, f"is frozen for {seconds:.1f} s")
        self.excuse(seconds + SLOW_SECONDS)
        self._is_frozen = True
        for task in self._tasks:
            task.freeze()
        self.world.after(seconds, self.thaw)

    def thaw(self) -> None:
        """SIGCONT."""
        self._is_frozen = False
        for task in self._tasks:
            task.thaw()

    def starve(self, seconds: float) -> bool:
        """Its heartbeat stands still for a while and answers take long; whether it has a heartbeat."""
        beat = self.heartbeat
        if beat is None:
            return False
        self.world.note(self.name, f"is starved for {seconds:.1f} s")
        self.starved_until = self.world.now + seconds
        self.excuse(seconds + SLOW_SECONDS)
        beat.freeze()
        self.world.after(seconds, beat.thaw)
        return True

    def drain(self, seconds: float) -> None:
        """SIGTERM: finish the rounds under way, and after so many seconds give back what is in hand and end."""
        self.world.note(self.name, "is told to stop")
        self.stop.set()
        self.world.broker.wake()
        self.world.after(seconds, self._end_now)

    def excuse(self, seconds: float) -> None:
        """Leases that it could have extended last within so many seconds from now may run out."""
        self.world.excuses.append((self.process, self.world.now, self.world.now + seconds))

    @property
    def has_work(self) -> bool:
        """Whether a document is in its hands, leased or not."""
        return bool(self.held._claims)

    def leave(self) -> None:
        """The world is over."""
        self._on_end = lambda: None
        self._end()

    def fail(self, error: EatError) -> None:
        """No document can succeed here: as `Shutdown.fail`."""
        self._error = self._error or error
        self.drain(BROKEN_SECONDS if isinstance(error, EngineBroken) else DRAIN_SECONDS)

    def engine_breaks(self, why: str) -> None:
        """The engine is lost: every request, also those under way, fails from now on."""
        self.world.note(self.name, f"loses its engine {why}")
        self.engine.is_broken = True

    def _stuck(self, error: EatError) -> None:
        self._error = self._error or error
        self.world.note(self.name, "is stuck")
        self.stop.set()
        self._end_now()

    # -- what it asks of the world -------------------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Let time pass for the task whose turn it is."""
        assert self.world.current is not None
        self.world.current.sleep(seconds)

    def pause(self) -> None:
        if not self.is_alive:
            raise Killed
        if self.world.strikes("slow_transaction"):
            self.sleep(self.world.chance.uniform(0.01, SLOW_SECONDS))

    def is_away(self) -> bool:
        if self.world.database_away:
            self.world.outages.append((self.process, self.world.now))
            self.excuse(0.0)
        return self.world.database_away

    def refused(self) -> None:
        self.world.met["write_refused"] += 1

    def commit(self, sqlite: sqlite3.Connection) -> None:
        world = self.world
        if world.strikes("crash_before_commit"):
            sqlite.execute("ROLLBACK")
            self.crash("before a commit")
        if world.strikes("commit_refused"):
            if self.stop.is_set():  # else it tries again
                self.excuse(SLOW_SECONDS)  # a heartbeat under way may still extend it
            raise sqlite3.OperationalError("disk I/O error")
        sqlite.execute("COMMIT")
        if world.strikes("commit_unanswered"):
            self.excuse(0.0)  # it does not know what it holds
            raise sqlite3.OperationalError("the connection was lost")
        if world.strikes("crash_after_commit"):
            self.crash("after a commit")

    # -- what it does --------------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            self._spool.restore(self.store)
        except StoreUnavailable:
            self._end()  # whoever watches it starts it again
            raise Killed from None
        self.world.note(self.name, f"serves {', '.join(self.queues)}")
        self.heartbeat = self._begin("heartbeat", _as_task(Heartbeat(self.held), self.world))
        watchdog = Watchdog(self.engine.silent_for, STUCK_SECONDS, self._stuck)
        self._begin("watchdog", _as_task(watchdog, self.world))
        work = self._consumers() if self.world.plan.with_broker else self._pool()
        self._slots = self.world.plan.slots
        for number in range(self._slots):
            self._begin(f"slot {number}", work)
        self._idle.wait()
        self._end()

    def _pool(self) -> Callable[[], object]:
        return Pool(self._advancer(), self.world.plan.slots, self.stop)._work  # type: ignore[arg-type]  # a virtual Event

    def _consumers(self) -> Callable[[], object]:
        dispatcher = Dispatcher(
            self.store, Publisher(self), queues=self.queues, window=self.world.plan.window, revive=self._revive
        )
        self._begin("dispatcher", _as_task(dispatcher, self.world))
        advancer = self._advancer(dispatcher.nudge)
        return lambda: self._consume(advancer)

    def _advancer(self, hand_on: Callable[[], None] = lambda: None) -> Advancer:
        return Advancer(
            self.store,
            Tools(self.engine),  # type: ignore[arg-type]  # submit is never called
            self.held,
            queues=self.queues,
            max_faults=MAX_FAULTS,
            hand_on=hand_on,
            give_up=self.fail,
            metrics=self._metrics,
            spool=self._spool,
            chance=self.world.chance,
        )

    def _consume(self, advancer: Advancer) -> None:
        world, task = self.world, self.world.current
        assert task is not None
        while not self.stop.is_set():
            message = world.broker.take(self.queues, self.stop)
            if message is not None:
                self._messages[task] = message
                advancer.take(message.hint())
                if world.strikes("crash_before_ack"):
                    self.crash("before it acknowledged a message")
                world.broker.acknowledge(self._messages.pop(task))
                if world.strikes("crash_after_ack"):
                    self.crash("after it acknowledged a message")

    def _revive(self) -> None:
        broker = self.world.broker
        if broker.is_away and self.world.chance.random() < 0.2:
            broker.is_away = False
            broker.forget()
            broker.wake()

    # -- how it ends ---------------------------------------------------------------------------------------------

    def _end_now(self) -> None:
        if not self.is_alive or self._is_ending:
            return
        if self._is_frozen:
            self.world.after(1.0, self._end_now)
            return
        self._is_ending = True
        self.world.note(self.name, "gives back what is in hand and ends")
        self._begin("at once", self._give_back_all)
        self.world.after(RELEASE_SECONDS, self._end)

    def _give_back_all(self) -> None:
        with suppress(EatError):  # its traceback goes to stderr, and the process ends
            self.held.release_all(self._error)
        self._end()

    def _end(self, *, lost: bool = False) -> None:
        if not self.is_alive:
            return
        self.is_alive = False
        self.world.running.discard(self.number)
        self.world.ends[self.process] = self.world.now
        for task in self._tasks:
            if task is not self.world.current:
                task.kill()
        messages = list(self._messages.values())
        redelivered = self.world.chance.uniform(1.0, 60.0)
        self.world.after(redelivered, lambda: self.world.broker.drop(messages, lost=lost))
        self._on_end()

    def _begin(self, name: str, function: Callable[[], object]) -> Task:
        task = Task(self.world, name, function, self._ended)
        self._tasks.append(task)
        return task

    def _ended(self, task: Task, error: BaseException | None) -> None:
        if error is not None:
            self.world.violate(f"{self.name}, {task.name}: {type(error).__name__}: {error}")
        if task.name.startswith("slot"):
            self._slots -= 1
            if self._slots == 0:
                self._idle.set()


class _Queue(Queue):
    """The product's queue, which tells the world what it refused."""

    def __init__(self, database: Database, worker: Worker) -> None:
        super().__init__(database)
        self.worker, self.world = worker, worker.world

    def claim(self, document_id: int, stage: Stage, worker: str, lease_seconds: float) -> Claim | None:
        claim = super().claim(document_id, stage, worker, lease_seconds)
        self.world.met["hint_refused"] += claim is None
        return claim

    def release(self, claim: Claim | Lease, *, reason: str) -> None:
        try:
            super().release(claim, reason=reason)
        except StoreUnavailable:
            self.worker.excuse(SLOW_SECONDS)  # tried once; the lease runs out instead
            raise


def _as_task(part: Background, world: World) -> Callable[[], object]:
    """What a part of the product does in a thread of its own; the event that it waits for becomes a virtual one."""
    part._wake = Event(world)  # type: ignore[assignment]
    return part._run
