"""`eat run`: brings up whatever the runs need on this machine, watches them to their end, and takes it down again.

Knows worker processes, their logs and their deaths; knows progress by SQL only. Imports no Celery.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Thread

from eat_worker.jobs.broker.connection import NONE, broker_url, use_broker
from eat_worker.jobs.processes import is_running
from eat_worker.jobs.shutdown import RELEASE_SECONDS, Shutdown
from eat_worker.jobs.supervisor import Supervisor
from eat_worker.jobs.worker import open_context
from eat_worker.retry import retry
from eat_worker.settings import Settings
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.values import ENDED, WorkerRecord

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Counts:
    """How far the runs are: documents by status, all runs together. `open` tells whether any run still takes work.

    `ahead` counts the documents of other runs that the workers take first.
    """

    by_status: Mapping[str, int]
    open: bool
    ahead: int = 0

    @property
    def total(self) -> int:
        """All documents."""
        return sum(self.by_status.values())

    @property
    def ended(self) -> int:
        """Documents that will not change any more."""
        return sum(self.by_status.get(status, 0) for status in ENDED)


@dataclass(frozen=True, slots=True)
class Finished:
    """How `run_until_done` ended. `signal` is the signal that stopped it early, None when it was left to the end."""

    counts: Counts
    signal: int | None


def run_until_done(
    settings: Settings, run_ids: Sequence[int], *, on_progress: Callable[[Counts], None], workers: int = 1
) -> Finished:
    """Work on the documents of these runs until none is left, with `workers` processes of this machine.

    A run that is paused or cancelled meanwhile is not waited for. The first SIGTERM or Ctrl-C drains the workers, the
    second ends them at once; nothing is lost either way. A worker that was killed is started again. With broker_url
    "none" the work is done in threads of this process. Needs the main thread. Raises ConfigurationError,
    StoreUnavailable, BrokerUnavailable, or EngineError when the workers cannot go on.
    """
    with ExitStack() as stack:
        # The workers drain as long by themselves; whoever waits for them must not be quicker.
        stop = stack.enter_context(Shutdown(drain_seconds=settings.drain_seconds + 2 * RELEASE_SECONDS))
        store = stack.enter_context(open_store(settings.database))
        before = [run.id for run_id in run_ids for run in store.runs.runs_before(run_id) if run.id not in run_ids]
        if broker_url(settings) == NONE:
            check = stack.enter_context(_threads(settings, stop))
        else:
            free_the_dead(store, settings)
            broker = stack.enter_context(use_broker(settings))

            def revive() -> None:
                broker.revive()
                free_the_dead(store, settings)

            def progress() -> tuple[int, int]:
                return retry(lambda: _finished_work(store, [*run_ids, *before]), stop.event)

            supervisor = stack.enter_context(Supervisor(settings, workers, revive=revive, progress=progress))
            stop.before_forced_end(supervisor.end_now)
            check = supervisor.check
        _follow(lambda: count_documents(store, run_ids, before), stop, check, on_progress)
        signal = stop.signal
        stop.request()
    if stop.error is not None:
        raise stop.error
    with open_store(settings.database) as store:
        counts = count_documents(store, run_ids)
    on_progress(counts)
    return Finished(counts, signal)


def free_the_dead(store: Store, settings: Settings) -> None:
    """End the leases of workers of this machine that are gone, instead of waiting until they run out.

    Only where the database is a file: then every worker runs here, and a process that is gone is gone for good. Whether
    it is gone, its row says; a worker without a row, and one of whose process nothing is known, keeps its lease.
    """
    if not settings.database.startswith("sqlite"):
        return
    owners = store.operating.lease_owners()  # asked first: who holds a lease has had a row before
    workers = store.reading.workers()
    for owner in owners:
        # A name may have had several processes; while one of them may live, the leases may be its own.
        known = [worker for worker in workers if worker.spec.name == owner]
        if known and all(map(_is_gone, known)):
            freed = store.operating.expire_leases(owner)
            log.info("worker %s is gone; %d of its documents are free again", owner, freed)


def _is_gone(worker: WorkerRecord) -> bool:
    return worker.ended_at is not None or is_running(worker.spec.process) is False


def count_documents(store: Store, run_ids: Sequence[int], before: Sequence[int] = ()) -> Counts:
    """The documents of these runs by status, and how many of the runs `before` them have not ended."""
    by_status: dict[str, int] = {}
    is_open = False
    for run_id in run_ids:
        for status in store.reading.run_status(run_id):
            is_open = is_open or status.run.state == "open"
            for name, documents in status.documents.items():
                by_status[name] = by_status.get(name, 0) + documents
    return Counts(by_status, is_open, store.reading.count_unfinished(before))


def _finished_work(store: Store, run_ids: Sequence[int]) -> tuple[int, int]:
    """Documents that have ended and rounds that are stored."""
    return count_documents(store, run_ids).ended, store.reading.count_rounds(run_ids)


def _follow(
    count: Callable[[], Counts],
    stop: Shutdown,
    check: Callable[[], None],
    on_progress: Callable[[Counts], None],
) -> None:
    """Tell the progress until no run is open or `stop` is requested; `check` raises when nobody works any more."""
    pause = 0.0
    while not stop.event.wait(pause):
        check()
        began = time.monotonic()
        counts = retry(count, stop.event)
        on_progress(counts)
        if not counts.open or counts.ended == counts.total:
            return
        # Counting is quick, but with millions of documents it must stay a small part of the work.
        pause = max(POLL_SECONDS, 20 * (time.monotonic() - began))


@contextmanager
def _threads(settings: Settings, stop: Shutdown) -> Iterator[Callable[[], None]]:
    """A pool of this process at work while the block lasts; yields what raises the error that ended it."""
    failed: list[BaseException] = []

    def check() -> None:
        if failed:
            raise failed[0]

    with open_context(settings, stop) as context:

        def work() -> None:
            try:
                context.work_without_broker()
            except BaseException as error:  # noqa: BLE001  # raised again by `check`, in the main thread
                failed.append(error)

        thread = Thread(target=work, name="eat-pool")
        thread.start()
        try:
            yield check
        finally:
            stop.request()
            thread.join()
        check()
