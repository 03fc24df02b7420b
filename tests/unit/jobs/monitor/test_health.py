"""Alive, started, ready: what makes a worker say no, what does not, and the pages over real HTTP on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from eat_worker.errors import BrokerUnavailable, ConfigurationError, StoreUnavailable
from eat_worker.jobs.monitor import health as health_module
from eat_worker.jobs.monitor.health import Health, HealthServer, Probe
from eat_worker.jobs.monitor.metrics import Metrics
from eat_worker.storage.values import Backlog

BACKLOG = Backlog(queued=4, running=1, dead_letters=0, oldest_age_seconds=3.0, seconds=50.0)


@pytest.fixture
def health() -> Health:
    found = Health(threading.Event(), lambda: 0.0, stuck_after=60)
    found.start(lambda: True)
    found.record(database=True, broker=True)
    return found


def raising(error: Exception) -> Callable[[], Backlog]:
    def ask() -> Backlog:
        raise error

    return ask


def probe(health: Health, metrics: Metrics, **asked: Callable[[], Backlog]) -> Probe:
    asks = {"ask_database": lambda: BACKLOG, "ask_broker": lambda: BACKLOG} | asked
    return Probe(health, metrics, **asks)


def test_a_worker_that_works_says_yes_to_everything(health: Health) -> None:
    assert (health.not_started(), health.not_alive(), health.not_ready()) == ([], [], [])


def test_before_the_model_is_there_it_lives_and_is_not_started() -> None:
    health = Health(threading.Event(), lambda: 0.0, stuck_after=60)
    health.record(database=True, broker=True)
    assert health.not_started() == ["the model is being loaded"]
    assert health.not_alive() == []
    assert health.not_ready() == ["the model is being loaded"]


def test_what_is_away_makes_it_unready_and_is_no_reason_to_restart_it(health: Health) -> None:
    health.record(database=False, broker=False)
    assert health.not_ready() == ["the database does not answer", "the broker does not answer"]
    assert health.not_alive() == []


def test_a_drain_makes_it_unready(health: Health) -> None:
    health._stop.set()
    assert health.not_ready() == ["asked to stop"]
    assert health.not_alive() == []


def test_a_dead_heartbeat_or_a_stuck_engine_is_the_end() -> None:
    health = Health(threading.Event(), lambda: 61.0, stuck_after=60)
    health.start(lambda: False)
    health.record(database=True, broker=True)
    assert health.not_alive() == ["the heartbeat thread has ended", "the engine has answered nothing for 61 s"]
    assert health.not_ready() == health.not_alive()


def test_the_probe_tells_health_and_metrics(health: Health) -> None:
    metrics = Metrics()
    probe(health, metrics, ask_broker=raising(BrokerUnavailable("gone"))).look()
    assert health.not_ready() == ["the broker does not answer"]
    value = metrics.registry.get_sample_value
    assert (value("eat_db_up"), value("eat_broker_up"), value("eat_worker_ready")) == (1, 0, 0)
    assert value("eat_backlog_seconds") == 50
    probe(health, metrics, ask_database=raising(StoreUnavailable("gone"))).look()
    assert health.not_ready() == ["the database does not answer"]
    probe(health, metrics).look()
    assert value("eat_worker_ready") == 1


def test_the_probe_looks_at_once_and_outlives_a_fault(
    health: Health, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health_module, "PROBE_SECONDS", 0.001)
    health.record(database=False, broker=True)
    answers: list[Exception] = [ZeroDivisionError("once")]
    seen = threading.Event()

    def ask() -> Backlog:
        if answers:
            raise answers.pop()
        seen.set()
        return BACKLOG

    with probe(health, Metrics(), ask_database=ask):
        assert seen.wait(5)
    assert health.not_ready() == []
    assert "the thread eat-probe failed; it continues" in caplog.text


@pytest.fixture
def server(health: Health) -> Iterator[HealthServer]:
    with HealthServer("127.0.0.1:0", health, Metrics().registry) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/readyz?verbose"])
def test_yes_is_200(server: HealthServer, path: str) -> None:
    reply = httpx.get(server.url + path)
    assert (reply.status_code, reply.text) == (200, "ok\n")
    assert reply.headers["cache-control"] == "no-store"


def test_no_is_503_with_every_reason(server: HealthServer, health: Health) -> None:
    health.record(database=False, broker=False)
    reply = httpx.get(server.url + "/readyz")
    assert (reply.status_code, reply.text) == (503, "the database does not answer\nthe broker does not answer\n")
    assert httpx.get(server.url + "/livez").status_code == 200
    starting = Health(threading.Event(), lambda: 0.0, stuck_after=60)
    with HealthServer("127.0.0.1:0", starting, Metrics().registry) as other:
        assert httpx.get(other.url + "/startupz").status_code == 503


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
    with HealthServer("127.0.0.1:0", health, Metrics().registry) as other:
        assert other.url != server.url


def test_a_port_that_is_taken_is_told_with_a_way_out(server: HealthServer, health: Health) -> None:
    with pytest.raises(ConfigurationError, match=r"health_address = 127\.0\.0\.1:\d+: .*choose another port"):
        HealthServer(server.url.removeprefix("http://"), health, Metrics().registry)


def test_an_address_of_the_newer_kind(health: Health) -> None:
    try:
        opened = HealthServer("[::1]:0", health, Metrics().registry)
    except ConfigurationError:
        pytest.skip("this machine has no IPv6")
    with opened as server:
        assert server.url.startswith("http://[::1]:")
        assert httpx.get(server.url + "/livez").status_code == 200
