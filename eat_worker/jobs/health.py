"""Is this worker alive, started, ready? The three questions that a supervisor asks, and the probe that finds out.

Knows what each answer depends on. Knows no HTTP, and asks database and broker in a thread of its own, so that an answer
never waits for them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from eat_worker.errors import EatError
from eat_worker.jobs.observing import Observer
from eat_worker.storage.values import Backlog

log = logging.getLogger(__name__)

PROBE_SECONDS = 10.0
# Counting is quick, but with millions of documents and many workers it must stay a small part of the database's work.
SHARE = 20


class Health:
    """What is known of this worker. Each question gives the reasons for a no; none means yes.

    `stuck_after` is how many seconds rounds may be under way without one coming to an end.
    """

    def __init__(self, stop: threading.Event, stuck_after: float) -> None:
        self.loaded = False
        self.database = False
        self.broker = False
        self.silent_for: Callable[[], float] = lambda: 0.0
        self.beating: Callable[[], bool] = lambda: True
        self._stop = stop
        self._stuck_after = stuck_after

    def not_started(self) -> list[str]:
        """Why this worker has not begun to work."""
        return [] if self.loaded else ["the model is being loaded"]

    def not_alive(self) -> list[str]:
        """Why only a new process can help. What the surroundings lack is no reason: a restart would not bring it."""
        reasons = []
        if not self.beating():
            reasons.append("the heartbeat thread has ended")
        if self.silent_for() > self._stuck_after:
            reasons.append(f"the engine has answered nothing for {self.silent_for():.0f} s")
        return reasons

    def not_ready(self) -> list[str]:
        """Why this worker takes no documents now."""
        reasons = self.not_started() + self.not_alive()
        if self._stop.is_set():
            reasons.append("asked to stop")
        if not self.database:
            reasons.append("the database does not answer")
        if not self.broker:
            reasons.append("the broker does not answer")
        return reasons


class Probe:
    """Asks database and broker again and again while the block lasts, and tells health and observer.

    `ask_broker` raises EatError when the broker does not answer, `ask_database` when the database does not.
    """

    def __init__(
        self,
        health: Health,
        observer: Observer,
        *,
        ask_database: Callable[[], Backlog],
        ask_broker: Callable[[], object],
    ) -> None:
        self._health, self._observer = health, observer
        self._ask_database, self._ask_broker = ask_database, ask_broker
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="eat-probe", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(PROBE_SECONDS)

    def look(self) -> None:
        """Ask both once."""
        self._health.database = self._answers("database", self._count)
        self._health.broker = self._answers("broker", self._ask_broker)
        self._observer.surroundings(
            database=self._health.database, broker=self._health.broker, ready=not self._health.not_ready()
        )

    def _count(self) -> None:
        self._observer.backlog(self._ask_database())

    def _answers(self, what: str, ask: Callable[[], object]) -> bool:
        try:
            ask()
        except EatError as error:
            log.debug("the %s does not answer: %s", what, error)  # whoever needs it says so louder
            return False
        return True

    def _run(self) -> None:
        pause = 0.0
        while not self._ended.wait(pause):
            began = time.monotonic()
            try:
                self.look()
            except Exception:
                # A probe that is gone would leave its last answer standing for ever.
                log.exception("the probe failed; it continues")
            pause = max(PROBE_SECONDS, SHARE * (time.monotonic() - began))
