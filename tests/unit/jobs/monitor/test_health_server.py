"""The pages over real HTTP on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.jobs.monitor.health import Health
from eat_worker.jobs.monitor.health_server import HealthServer
from eat_worker.jobs.monitor.metrics import Observer


@pytest.fixture
def health() -> Health:
    found = Health(threading.Event(), stuck_after=60)
    found.loaded = found.database = found.broker = True
    return found


@pytest.fixture
def server(health: Health) -> Iterator[HealthServer]:
    with HealthServer("127.0.0.1:0", health, Observer().registry) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/readyz?verbose"])
def test_yes_is_200(server: HealthServer, path: str) -> None:
    reply = httpx.get(server.url + path)
    assert (reply.status_code, reply.text) == (200, "ok\n")
    assert reply.headers["cache-control"] == "no-store"


def test_no_is_503_with_every_reason(server: HealthServer, health: Health) -> None:
    health.database = health.broker = False
    reply = httpx.get(server.url + "/readyz")
    assert (reply.status_code, reply.text) == (503, "the database does not answer\nthe broker does not answer\n")
    assert httpx.get(server.url + "/livez").status_code == 200
    health.loaded = False
    assert httpx.get(server.url + "/startupz").status_code == 503


def test_metrics_are_prometheus_text(server: HealthServer) -> None:
    reply = httpx.get(server.url + "/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE eat_documents_total counter\n" in reply.text


def test_other_paths_and_methods_are_refused(server: HealthServer) -> None:
    assert httpx.get(server.url + "/").status_code == 404
    assert httpx.get(server.url + "/../etc/passwd").status_code == 404
    assert httpx.post(server.url + "/metrics").status_code == 501


def test_many_may_ask_at_once_and_one_that_says_nothing_is_in_nobodys_way(server: HealthServer) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))), ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda _: httpx.get(server.url + "/metrics").status_code, range(64)))
    assert codes == [200] * 64


def test_two_workers_of_one_machine_take_different_ports(server: HealthServer, health: Health) -> None:
    with HealthServer("127.0.0.1:0", health, Observer().registry) as other:
        assert other.url != server.url


def test_a_port_that_is_taken_is_told_with_a_way_out(server: HealthServer, health: Health) -> None:
    with pytest.raises(ConfigurationError, match=r"health_address = 127\.0\.0\.1:\d+: .*choose another port"):
        HealthServer(server.url.removeprefix("http://"), health, Observer().registry)


def test_an_address_of_the_newer_kind(health: Health) -> None:
    try:
        opened = HealthServer("[::1]:0", health, Observer().registry)
    except ConfigurationError:
        pytest.skip("this machine has no IPv6")
    with opened as server:
        assert server.url.startswith("http://[::1]:")
        assert httpx.get(server.url + "/livez").status_code == 200
