"""`/livez`, `/readyz`, `/startupz` and `/metrics` over HTTP, in a thread of this process.

Knows HTTP only: what the answers are is known to `health` and `observing`. Reads nothing from a request but its path.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from eat_worker.errors import ConfigurationError
from eat_worker.jobs.monitor.health import Health
from eat_worker.urls import split_address

PLAIN = "text/plain; charset=utf-8"
REQUEST_SECONDS = 10.0  # a client that says nothing must not keep a thread


class HealthServer:
    """Answers on `address` (host:port; port 0 is any free one) while the block lasts.

    Raises ConfigurationError when nothing can listen there.
    """

    def __init__(self, address: str, health: Health, registry: CollectorRegistry) -> None:
        host, port = split_address(address)
        try:
            self._server = _Server((host, port), _handler(_pages(health), registry))
        except OSError as error:
            raise ConfigurationError(
                f"health_address = {address}: {error.strerror or error}; choose another port, 0 for any free one, "
                "or none for no health pages"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="eat-health", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


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
