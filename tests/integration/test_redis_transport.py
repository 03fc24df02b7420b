"""A message that breaks off on the way from the broker does not silence whoever reads it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from redis.exceptions import TimeoutError as AnswerTimeout

from eat_worker.jobs.broker import app
from eat_worker.jobs.broker.app import open_app
from eat_worker.jobs.broker.server import EmbeddedServer


class Relay:
    """Carries bytes between a TCP port and the server's unix socket, and can say something of its own."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def say(self, words: bytes) -> None:
        """Send words to every client, as if they came from the server."""
        for client in self._clients:
            client.sendall(words)

    def close(self) -> None:
        for one in (self._listening, *self._clients, *self._servers):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the threads that wait for it
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._target))
                self._clients.append(client)
                self._servers.append(server)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    with EmbeddedServer(tmp_path), closing(Relay(tmp_path / "broker.sock")) as relay:
        yield relay


@pytest.mark.timeout(60)
def test_the_rest_of_a_message_is_not_awaited_for_ever(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "ANSWER_SECONDS", 0.5)
    with open_app(f"redis://127.0.0.1:{relay.port}/0").connection_for_read() as connection:
        pubsub = connection.default_channel.subclient
        pubsub.subscribe("remote control")
        assert pubsub.parse_response()[0] == b"subscribe"
        relay.say(b">3\r\n$7\r\nmess")
        with suppress(AnswerTimeout):  # or redis-py has already connected anew
            pubsub.parse_response()
        connection.default_channel.client.publish("remote control", "ping")
        heard = [pubsub.parse_response() for _ in range(3)]
    assert [b"message", b"remote control", b"ping"] in heard
