"""A worker under observation: what it counts, tells a supervisor and traces. Opened before the engine.

Knows how observer, health, probe, pages and tracing fit together. Knows nothing of documents.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from eat_worker.engines.identity import fingerprints_of
from eat_worker.jobs.broker import ask_broker
from eat_worker.jobs.health import Health, Probe
from eat_worker.jobs.observed_engine import ObservedEngine, Pulse
from eat_worker.jobs.observing import Observer
from eat_worker.jobs.stages import Tools
from eat_worker.jobs.tracing import open_tracing
from eat_worker.log import bound
from eat_worker.settings import Settings
from eat_worker.storage.store import Store

log = logging.getLogger(__name__)

WATCHDOG_SECONDS = 60.0  # in which the watchdog of a stuck engine should have ended the process


class Watch:
    """Observer, health and tracing of one worker process, and its pages while the block lasts."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self.observer = Observer()
        # A chat server may take its whole time for an answer, and the next request waits for the one before. An engine
        # of this process is ended by its watchdog first.
        patience = 2 * settings.endpoint_timeout if settings.engine == "endpoint" else WATCHDOG_SECONDS
        self.health = Health(stop, settings.stuck_seconds + patience)
        self._settings = settings
        self._pulse = Pulse()
        self._stack = ExitStack()
        self._pages = False

    def __enter__(self) -> Self:
        self._tracing = open_tracing(os.environ)
        self._stack.callback(self._tracing.close)
        if self._settings.health_address not in ("", "none"):
            from eat_worker.jobs.health_server import HealthServer

            server = HealthServer(self._settings.health_address, self.health, self.observer.registry)
            log.info("health and metrics at %s", self._stack.enter_context(server).url)
            self._pages = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def tools(self, tools: Tools) -> Tools:
        """The tools with their engine watched."""
        return replace(tools, engine=ObservedEngine(tools.engine, self.observer, self._pulse, self._tracing))

    @contextmanager
    def serving(
        self, store: Store, worker: str, queues: Collection[str], beating: Callable[[], bool]
    ) -> Iterator[None]:
        """While the block lasts the worker works: it is started, and its surroundings are probed."""
        fingerprints = fingerprints_of(queues)
        self.observer.serving(fingerprints)
        self.health.silent_for, self.health.beating = self._pulse.silent_for, beating
        self.health.loaded = True
        with ExitStack() as stack:
            stack.enter_context(bound(worker=worker, fingerprint=" ".join(fingerprints)))
            if self._pages:  # nobody else asks how the surroundings are
                broker = partial(ask_broker, self._settings)
                stack.enter_context(
                    Probe(self.health, self.observer, ask_database=store.operating.backlog, ask_broker=broker)
                )
            yield
