"""One worker process: opens what it needs, serves the queues of its engine, drains on a signal.

Knows how the parts of `jobs` fit together. Knows nothing of what a stage does and nothing of Celery.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from eat_worker import __version__
from eat_worker.engines.identity import fingerprints_of, served_queues
from eat_worker.errors import EatError, StoreUnavailable
from eat_worker.jobs.background import Background
from eat_worker.jobs.broker.connection import NONE, Broker, ask_broker, broker_url, use_broker
from eat_worker.jobs.broker.signing import open_signer
from eat_worker.jobs.document import stages
from eat_worker.jobs.document.advance import Advancer
from eat_worker.jobs.document.leases import Heartbeat, HeldLeases
from eat_worker.jobs.document.spool import Spool
from eat_worker.jobs.monitor.metrics import Metrics
from eat_worker.jobs.monitor.monitor import Monitor
from eat_worker.jobs.processes import this_process
from eat_worker.jobs.shutdown import PARENT_VARIABLE, Shutdown
from eat_worker.retry import Backoff
from eat_worker.settings import Settings
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.values import WorkerSpec

log = logging.getLogger(__name__)

UNTIL_SECONDS = 0.5
IDLE = Backoff(0.05, 1.0, steady=1.0)  # while there is no document to take
# A database that is silent for so long is taken to be away: short enough for the next beat to save a lease of a minute.
ANSWER_SECONDS = 20.0
RESUME = "stopped, nothing is lost; to continue: eat worker"


class Pool:
    """`size` threads that take the next document straight from the database, without a broker, until `stop` is set."""

    def __init__(self, advancer: Advancer, size: int, stop: threading.Event) -> None:
        self._advancer = advancer
        self._size = size
        self._stop = stop

    def run(self) -> None:
        """Work until `stop`; returns when every thread has released what it held. Raises what a thread raised."""
        with ThreadPoolExecutor(self._size, thread_name_prefix="eat-pool") as threads:
            running = [threads.submit(self._work) for _ in range(self._size)]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()
        for thread in running:
            thread.result()

    def _work(self) -> None:
        empty = 0  # tries in a row that found nothing
        while not self._stop.is_set():
            empty = 0 if self._advancer.take_next() else empty + 1
            if empty:
                self._stop.wait(IDLE.pause(empty))


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What a process that works on documents has open."""

    settings: Settings
    store: Store
    tools: stages.Tools
    leases: HeldLeases
    spool: Spool
    metrics: Metrics
    shutdown: Shutdown

    def advancer(self, hand_on: Callable[[], None] = lambda: None) -> Advancer:
        """What works on documents here; `hand_on` is called when one became ready for a stage of another queue."""
        return Advancer(
            self.store,
            self.tools,
            self.leases,
            queues=served_queues(self.settings),
            max_faults=self.settings.max_faults,
            hand_on=hand_on,
            give_up=self.shutdown.fail,
            metrics=self.metrics,
            spool=self.spool,
        )

    def work_without_broker(self) -> None:
        """Take documents straight from the database until `shutdown`."""
        Pool(self.advancer(), self.settings.documents_at_once, self.shutdown.event).run()

    def work_with(self, broker: Broker) -> None:
        """Take documents as the broker's messages name them, and send such messages, until `shutdown`."""
        from eat_worker.jobs.broker.app import open_app
        from eat_worker.jobs.broker.consumer import consume
        from eat_worker.jobs.broker.dispatcher import Dispatcher
        from eat_worker.jobs.broker.messages import HintPublisher

        settings, signer = self.settings, open_signer(self.settings)
        with closing(HintPublisher(open_app(broker.url), signer)) as publisher:
            queues = served_queues(settings)
            dispatcher = Dispatcher(self.store, publisher, queues=queues, window=settings.window, revive=broker.revive)
            advancer = self.advancer(hand_on=dispatcher.nudge)
            name, concurrency = self.leases.worker, settings.documents_at_once
            with dispatcher:
                consume(broker, advancer, self.shutdown, signer, worker=name, concurrency=concurrency)


@contextmanager
def open_context(
    settings: Settings, shutdown: Shutdown, name: str | None = None, monitor: Monitor | None = None
) -> Iterator[WorkerContext]:
    """Open the store and the engine and keep leases alive while the block lasts. Raises as `serve`."""
    with ExitStack() as stack:
        store = stack.enter_context(open_store(settings.database, answer_within=ANSWER_SECONDS))
        monitor = monitor or stack.enter_context(Monitor(replace(settings, health_address="none"), shutdown.event))
        tools = stages.open_tools(settings)
        stack.callback(tools.close)
        tools = replace(tools, engine=monitor.measured(tools.engine))
        served = served_queues(settings)
        name = name or worker_name()
        row = stack.enter_context(_on_record(store, name, served))
        leases = HeldLeases(store, name, settings.lease_seconds, shutdown.event, row)
        shutdown.before_forced_end(lambda: leases.release_all(shutdown.error))
        spool = Spool(settings.state / "spool")
        spool.restore(store)
        monitor.metrics.spooled(lambda: spool.size)
        heartbeat = stack.enter_context(Heartbeat(leases))
        stack.enter_context(
            monitor.serving(
                store,
                name,
                served,
                ask_broker=partial(ask_broker, settings),
                beats=heartbeat.is_alive,
                on_stuck=shutdown.end,
            )
        )
        log.info("serving %s", ", ".join(sorted(served)), extra={"worker": leases.worker})
        yield WorkerContext(settings, store, tools, leases, spool, monitor.metrics, shutdown)


def serve(settings: Settings, *, name: str | None = None, until: Callable[[Store], bool] | None = None) -> int:
    """Work on documents until a signal comes, or until `until` says that there is nothing left; the exit code.

    SIGTERM or Ctrl-C once: no document is begun, every round under way is finished and stored, leases are released
    (exit code 0, after Ctrl-C 130). Twice, or when that takes longer than `drain_seconds`: leases are released and
    the process ends at once. Needs the main thread. Raises EngineBroken when the engine broke; the process must end.
    Raises ConfigurationError, StoreUnavailable, BrokerUnavailable, ModelMissing or EngineError when it cannot start.
    """
    with ExitStack() as stack:
        shutdown = stack.enter_context(Shutdown(drain_seconds=settings.drain_seconds))
        monitor = stack.enter_context(Monitor(settings, shutdown.event))
        open_signer(settings)
        # Before the engine, which takes long: a broker that does not answer is an error at once.
        broker = None if broker_url(settings) == NONE else stack.enter_context(use_broker(settings))
        context = stack.enter_context(open_context(settings, shutdown, name, monitor))
        if until is not None:
            stack.enter_context(Until(until, context.store, shutdown))
        if broker is None:
            context.work_without_broker()
        else:
            context.work_with(broker)
        # A worker of `eat run` is stopped by it when all is done; when it is not, `eat run` says how to go on.
        advise = shutdown.signal is not None and PARENT_VARIABLE not in os.environ and _has_work(context.store)
    if shutdown.error is not None:
        raise shutdown.error
    if advise:
        sys.stderr.write(f"{RESUME}\n")
    return shutdown.exit_code


def worker_name() -> str:
    """A name for this process that no other one has now."""
    return f"{socket.gethostname()}-{os.getpid()}"


@contextmanager
def _on_record(store: Store, name: str, queues: Collection[str]) -> Iterator[int]:
    """The worker has a row in the database while the block lasts, and the row says so when it has ended; its number."""
    spec = WorkerSpec(name, this_process(), queues, fingerprints_of(queues), __version__)
    row = store.queue.add_worker(spec)
    try:
        yield row
    finally:
        try:
            store.queue.end_worker(row)
        except EatError as error:
            log.warning("the end of this worker is not recorded: %s", error)


def _has_work(store: Store) -> bool:
    """Whether documents of any open run are left; taken for granted while the database is away."""
    try:
        return store.reading.count_unfinished([run.id for run in store.runs.list_runs() if run.state == "open"]) > 0
    except StoreUnavailable:
        return True


class Until(Background):
    """Stops this process once `is_done` says that there is nothing left to do."""

    def __init__(self, is_done: Callable[[Store], bool], store: Store, shutdown: Shutdown) -> None:
        super().__init__("eat-until", UNTIL_SECONDS)
        self._is_done, self._store, self._shutdown = is_done, store, shutdown

    def _step(self) -> float:
        try:
            if self._is_done(self._store):
                self._shutdown.request()
        except StoreUnavailable as error:
            log.warning("will ask again: %s", error)
        return self._every
