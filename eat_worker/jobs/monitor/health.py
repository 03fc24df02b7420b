"""Is this worker alive, started, ready? The three questions that an orchestrator asks, the probe that finds out, and
the answers as pages over HTTP: `/livez`, `/readyz`, `/startupz` and `/metrics`.

Database and broker are asked in a thread of its own, so that an answer never waits for them. Of a request only the path
is read.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from eat_worker.errors import ConfigurationError, EatError
from eat_worker.jobs.background import Background
from eat_worker.jobs.monitor.metrics import Metrics
from eat_worker.storage.values import Backlog
from eat_worker.urls import split_address

log = logging.getLogger(__name__)

PROBE_SECONDS = 10.0
# Counting is quick, but with millions of documents and many workers it must stay a small part of the database's work.
SHARE = 20
PLAIN = "text/plain; charset=utf-8"
REQUEST_SECONDS = 10.0  # a client that says nothing must not keep a thread


class Health:
    """What is known of this worker. Each question gives the reasons for a no; none means yes.

    `silent_for` gives the seconds for which rounds have been under way without one coming to an end; after
    `stuck_after` of them the engine is taken to be stuck.
    """

    def __init__(self, stop: threading.Event, silent_for: Callable[[], float], stuck_after: float) -> None:
        self.stuck_after = stuck_after
        self._stop = stop
        self._silent_for = silent_for
        self._beats: Callable[[], bool] | None = None  # None until the worker has started
        self._database = self._broker = False

    def start(self, beats: Callable[[], bool]) -> None:
        """The model is loaded and the work begins; `beats` says whether the heartbeat still lives."""
        self._beats = beats

    def record(self, *, database: bool, broker: bool) -> None:
        """Whether database and broker answered just now."""
        self._database, self._broker = database, broker

    def not_started(self) -> list[str]:
        """Why this worker has not begun to work."""
        return [] if self._beats else ["the model is being loaded"]

    def not_alive(self) -> list[str]:
        """Why only a new process can help. What the surroundings lack is no reason: a restart would not bring it."""
        reasons = []
        if self._beats and not self._beats():
            reasons.append("the heartbeat thread has ended")
        if self._silent_for() > self.stuck_after:
            reasons.append(f"the engine has answered nothing for {self._silent_for():.0f} s")
        return reasons

    def not_ready(self) -> list[str]:
        """Why this worker takes no documents now."""
        reasons = self.not_started() + self.not_alive()
        if self._stop.is_set():
            reasons.append("asked to stop")
        if not self._database:
            reasons.append("the database does not answer")
        if not self._broker:
            reasons.append("the broker does not answer")
        return reasons


class Probe(Background):
    """Asks database and broker again and again while the block lasts; health and metrics record the answers.

    `ask_broker` raises EatError when the broker does not answer, `ask_database` when the database does not.
    """

    def __init__(
        self,
        health: Health,
        metrics: Metrics,
        *,
        ask_database: Callable[[], Backlog],
        ask_broker: Callable[[], object],
    ) -> None:
        super().__init__("eat-probe", PROBE_SECONDS, at_once=True, join_timeout=PROBE_SECONDS)
        self._health, self._metrics = health, metrics
        self._ask_database, self._ask_broker = ask_database, ask_broker

    def look(self) -> None:
        """Ask both once."""
        database = self._answers("database", self._count)
        broker = self._answers("broker", self._ask_broker)
        self._health.record(database=database, broker=broker)
        self._metrics.surroundings(database=database, broker=broker, ready=not self._health.not_ready())

    def _count(self) -> None:
        self._metrics.backlog(self._ask_database())

    def _answers(self, what: str, ask: Callable[[], object]) -> bool:
        try:
            ask()
        except EatError as error:
            log.debug("the %s does not answer: %s", what, error)  # whoever needs it says so louder
            return False
        return True

    def _step(self) -> float:
        began = time.monotonic()
        self.look()
        return max(PROBE_SECONDS, SHARE * (time.monotonic() - began))


class HealthServer(Background):
    """Answers on `address` (host:port; port 0 is any free one) while the block lasts.

    Raises ConfigurationError when nothing can listen there.
    """

    def __init__(self, address: str, health: Health, registry: CollectorRegistry) -> None:
        super().__init__("eat-health", every=0.0)
        host, port = split_address(address)
        try:
            self._server = _Server((host, port), _handler(_pages(health), registry))
        except OSError as error:
            raise ConfigurationError(
                f"health_address = {address}: {error.strerror or error}; choose another port, 0 for any free one, "
                "or none for no health pages"
            ) from error

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def _run(self) -> None:
        with self._server:
            self._server.serve_forever()

    def _end(self) -> None:
        self._server.shutdown()


class _Server(ThreadingTCPServer):  # not HTTPServer, which looks its own name up in the DNS
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False  # a client that hangs must not keep a drained worker

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)


def _pages(health: Health) -> Mapping[str, Callable[[], list[str]]]:
    return {"/livez": health.not_alive, "/readyz": health.not_ready, "/startupz": health.not_started}


def _handler(pages: Mapping[str, Callable[[], list[str]]], registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS
        server_version, sys_version = "eat", ""

        def do_GET(self) -> None:  # the name that http.server calls
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST)
            elif path in pages:
                reasons = pages[path]()
                status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
                self._answer(status, "".join(f"{line}\n" for line in reasons or ["ok"]).encode(), PLAIN)
            else:
                self._answer(HTTPStatus.NOT_FOUND, b"/livez /readyz /startupz /metrics\n", PLAIN)

        def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's signature
            """Say nothing: a supervisor asks every few seconds."""

    return Handler
