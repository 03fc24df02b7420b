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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from eat_worker import __version__
from eat_worker.engines.identity import fingerprints_of, served_queues
from eat_worker.errors import EatError, StoreUnavailable
from eat_worker.jobs import stages
from eat_worker.jobs.advance import Advancer
from eat_worker.jobs.broker import NONE, Broker, broker_url, use_broker
from eat_worker.jobs.held import Heartbeat, Held
from eat_worker.jobs.pool import Pool
from eat_worker.jobs.processes import this_process
from eat_worker.jobs.signing import open_signer
from eat_worker.jobs.spool import Spool
from eat_worker.jobs.stopping import PARENT_VARIABLE, Stop
from eat_worker.jobs.watchdog import Watchdog
from eat_worker.jobs.watching import Watch
from eat_worker.settings import Settings
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.values import WorkerSpec

log = logging.getLogger(__name__)

UNTIL_SECONDS = 0.5
# A database that is silent for so long is taken to be away: short enough for the next beat to save a lease of a minute.
ANSWER_SECONDS = 20.0
RESUME = "stopped, nothing is lost; to go on: eat worker"


@dataclass(frozen=True, slots=True)
class Station:
    """What a process that works on documents has open."""

    settings: Settings
    store: Store
    held: Held
    advancer: Advancer
    stop: Stop

    def work_without_broker(self) -> None:
        """Take documents straight from the database until `stop`."""
        Pool(self.advancer, self.settings.documents_at_once, self.stop.event).run()

    def work_with(self, broker: Broker) -> None:
        """Take documents as the broker's messages name them, and send such messages, until `stop`."""
        from eat_worker.jobs.consumer import consume

        consume(
            broker,
            self.store,
            self.advancer,
            self.stop,
            worker=self.held.worker,
            window=self.settings.window,
            concurrency=self.settings.documents_at_once,
            signer=open_signer(self.settings),
        )


@contextmanager
def open_station(
    settings: Settings, stop: Stop, name: str | None = None, watch: Watch | None = None
) -> Iterator[Station]:
    """Open the store and the engine and keep leases alive while the block lasts. Raises as `serve`."""
    with ExitStack() as stack:
        store = stack.enter_context(open_store(settings.database, answer_within=ANSWER_SECONDS))
        watch = watch or stack.enter_context(Watch(replace(settings, health_address="none"), stop.event))
        tools = watch.tools(stages.open_tools(settings))
        stack.callback(tools.close)
        served = served_queues(settings)
        name = name or worker_name()
        row = stack.enter_context(_on_record(store, name, served))
        held = Held(store, name, settings.lease_seconds, stop.event, row)
        stop.at_once = lambda: held.release_all(stop.error)
        spool = Spool(settings.state / "spool")
        spool.restore(store)
        heartbeat = stack.enter_context(Heartbeat(held))
        advancer = Advancer(
            store,
            tools,
            held,
            queues=served,
            max_faults=settings.max_faults,
            give_up=stop.fail,
            observer=watch.observer,
            spool=spool,
        )
        watch.observer.spooled(lambda: spool.size)
        stack.enter_context(watch.serving(store, held.worker, served, heartbeat.is_alive))
        if settings.engine != "endpoint":  # there every request has its own end, and the worker waits for the server
            stack.enter_context(Watchdog(watch.health.silent_for, settings.stuck_seconds, stop.end))
        log.info("serving %s", ", ".join(sorted(served)), extra={"worker": held.worker})
        yield Station(settings, store, held, advancer, stop)


def serve(settings: Settings, *, name: str | None = None, until: Callable[[Store], bool] | None = None) -> int:
    """Work on documents until a signal comes, or until `until` says that there is nothing left; the exit code.

    SIGTERM or Ctrl-C once: no document is begun, every round under way is finished and stored, leases are given back
    (exit code 0, after Ctrl-C 130). Twice, or when that takes longer than `drain_seconds`: leases are given back and
    the process ends at once. Needs the main thread. Raises EngineBroken when the engine broke; the process must end.
    Raises ConfigurationError, StoreUnavailable, BrokerUnavailable, ModelMissing or EngineError when it cannot start.
    """
    with ExitStack() as stack:
        stop = stack.enter_context(Stop(drain_seconds=settings.drain_seconds))
        watch = stack.enter_context(Watch(settings, stop.event))
        open_signer(settings)
        # Before the engine, which takes long: a broker that does not answer is told at once.
        broker = None if broker_url(settings) == NONE else stack.enter_context(use_broker(settings))
        station = stack.enter_context(open_station(settings, stop, name, watch))
        if until is not None:
            stack.enter_context(_polled(until, station))
        if broker is None:
            station.work_without_broker()
        else:
            station.work_with(broker)
        # A worker of `eat run` is stopped by it when all is done; when it is not, `eat run` says how to go on.
        advise = stop.signal is not None and PARENT_VARIABLE not in os.environ and _has_work(station.store)
    if stop.error is not None:
        raise stop.error
    if advise:
        sys.stderr.write(f"{RESUME}\n")
    return stop.exit_code


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


@contextmanager
def _polled(until: Callable[[Store], bool], station: Station) -> Iterator[None]:
    """Stop when `until` holds."""

    def poll() -> None:
        while not station.stop.event.wait(UNTIL_SECONDS):
            try:
                ended = until(station.store)
            except StoreUnavailable as error:
                log.warning("asked again later: %s", error)
                continue
            if ended:
                station.stop.request()

    thread = threading.Thread(target=poll, name="eat-until", daemon=True)
    thread.start()
    yield
    station.stop.request()
    thread.join()
