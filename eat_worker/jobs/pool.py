"""The same work without a broker: threads that take the next document straight from the database.

Knows threads and the advancer. Imports no Celery: this is the path for machines without a server program.
"""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event

from eat_worker.jobs.document.advance import Advancer

SHORTEST_IDLE_SECONDS = 0.05
LONGEST_IDLE_SECONDS = 1.0


class Pool:
    """`size` threads that work until `stop` is set."""

    def __init__(self, advancer: Advancer, size: int, stop: Event) -> None:
        self._advancer = advancer
        self._size = size
        self._stop = stop

    def run(self) -> None:
        """Work until `stop`; returns when every thread has given back what it held. Raises what a thread raised."""
        with ThreadPoolExecutor(self._size, thread_name_prefix="eat-pool") as threads:
            running = [threads.submit(self._work) for _ in range(self._size)]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()
        for thread in running:
            thread.result()

    def _work(self) -> None:
        idle = SHORTEST_IDLE_SECONDS
        while not self._stop.is_set():
            if self._advancer.take_next():
                idle = SHORTEST_IDLE_SECONDS
            else:
                self._stop.wait(idle)
                idle = min(2 * idle, LONGEST_IDLE_SECONDS)
