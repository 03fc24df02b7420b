"""Everything that observes one worker, put together. Opened before the engine.

Knows how metrics, health, probe, pages, watchdog and tracing fit together. Knows nothing of documents.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from eat_worker.engines.engine import ChatEngine
from eat_worker.engines.identity import fingerprints_of
from eat_worker.errors import EngineBroken
from eat_worker.jobs.monitor.engine import MeasuredEngine, Pulse, Watchdog
from eat_worker.jobs.monitor.health import Health, HealthServer, Probe
from eat_worker.jobs.monitor.metrics import Metrics
from eat_worker.jobs.monitor.tracing import open_tracing
from eat_worker.log import bound
from eat_worker.settings import Settings
from eat_worker.storage.store import Store

log = logging.getLogger(__name__)

WATCHDOG_SECONDS = 60.0  # in which the watchdog of a stuck engine should have ended the process


class Monitor:
    """Metrics, health and tracing of one worker process, and its pages while the block lasts.

    Raises ConfigurationError when nothing can listen at `health_address`.
    """

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self.metrics = Metrics()
        # A chat server may take its whole time for an answer, and the next request waits for the one before. An engine
        # of this process is ended by its watchdog first.
        grace = 2 * settings.endpoint_timeout if settings.remote else WATCHDOG_SECONDS
        self._pulse = Pulse()
        self.health = Health(stop, self._pulse.silent_for, settings.stuck_seconds + grace)
        self._settings = settings
        self._stack = ExitStack()
        self._pages = False

    def __enter__(self) -> Self:
        self._tracing = open_tracing(os.environ)
        self._stack.callback(self._tracing.close)
        if self._settings.health_address not in ("", "none"):
            server = HealthServer(self._settings.health_address, self.health, self.metrics.registry)
            log.info("health and metrics at %s", self._stack.enter_context(server).url)
            self._pages = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def measured(self, engine: ChatEngine) -> ChatEngine:
        """The engine, with every round counted, timed and traced."""
        return MeasuredEngine(engine, self.metrics, self._pulse, self._tracing)

    @contextmanager
    def serving(
        self,
        store: Store,
        worker: str,
        queues: Collection[str],
        *,
        ask_broker: Callable[[], object],
        beats: Callable[[], bool],
        on_stuck: Callable[[EngineBroken], None],
    ) -> Iterator[None]:
        """While the block lasts the worker works: it is started, and its surroundings and its engine are watched.

        `ask_broker` raises EatError when the broker does not answer, `beats` says whether the heartbeat lives, and
        `on_stuck` is called once when the engine answers no more.
        """
        fingerprints = fingerprints_of(queues)
        self.metrics.serving(fingerprints)
        self.health.start(beats)
        with ExitStack() as stack:
            stack.enter_context(bound(worker=worker, fingerprint=" ".join(fingerprints)))
            if self._pages:  # only they show what the probe finds
                stack.enter_context(
                    Probe(self.health, self.metrics, ask_database=store.operating.backlog, ask_broker=ask_broker)
                )
            if not self._settings.remote:  # there every request has its own end, and the worker waits for it
                stack.enter_context(Watchdog(self._pulse.silent_for, self._settings.stuck_seconds, on_stuck))
            yield
