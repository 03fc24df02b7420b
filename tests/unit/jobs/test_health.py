"""Alive, started, ready: what makes a worker say no, and what does not."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from eat_worker.errors import BrokerUnavailable, StoreUnavailable
from eat_worker.jobs import health as health_module
from eat_worker.jobs.health import Health, Probe
from eat_worker.jobs.observing import Observer
from eat_worker.storage.values import Backlog

BACKLOG = Backlog(queued=4, running=1, dead_letters=0, oldest_age_seconds=3.0, seconds=50.0)


@pytest.fixture
def health() -> Health:
    found = Health(threading.Event(), stuck_after=60)
    found.loaded = found.database = found.broker = True
    return found


def raising(error: Exception) -> Callable[[], Backlog]:
    def ask() -> Backlog:
        raise error

    return ask


def probe(health: Health, observer: Observer, **asked: Callable[[], Backlog]) -> Probe:
    asks = {"ask_database": lambda: BACKLOG, "ask_broker": lambda: BACKLOG} | asked
    return Probe(health, observer, **asks)


def test_a_worker_that_works_says_yes_to_everything(health: Health) -> None:
    assert (health.not_started(), health.not_alive(), health.not_ready()) == ([], [], [])


def test_before_the_model_is_there_it_lives_and_is_not_started(health: Health) -> None:
    health.loaded = False
    assert health.not_started() == ["the model is being loaded"]
    assert health.not_alive() == []
    assert health.not_ready() == ["the model is being loaded"]


def test_what_is_away_makes_it_unready_and_is_no_reason_to_restart_it(health: Health) -> None:
    health.database = health.broker = False
    assert health.not_ready() == ["the database does not answer", "the broker does not answer"]
    assert health.not_alive() == []


def test_a_drain_makes_it_unready(health: Health) -> None:
    health._stop.set()
    assert health.not_ready() == ["asked to stop"]
    assert health.not_alive() == []


def test_a_dead_heartbeat_or_a_stuck_engine_is_the_end(health: Health) -> None:
    health.beating = lambda: False
    health.silent_for = lambda: 61.0
    assert health.not_alive() == ["the heartbeat thread has ended", "the engine has answered nothing for 61 s"]
    assert health.not_ready() == health.not_alive()


def test_the_probe_tells_health_and_metrics(health: Health) -> None:
    observer = Observer()
    probe(health, observer, ask_broker=raising(BrokerUnavailable("gone"))).look()
    assert (health.database, health.broker) == (True, False)
    value = observer.registry.get_sample_value
    assert (value("eat_db_up"), value("eat_broker_up"), value("eat_worker_ready")) == (1, 0, 0)
    assert value("eat_backlog_seconds") == 50
    probe(health, observer, ask_database=raising(StoreUnavailable("gone"))).look()
    assert (health.database, health.broker) == (False, True)
    probe(health, observer).look()
    assert value("eat_worker_ready") == 1


def test_the_probe_looks_at_once_and_outlives_a_fault(
    health: Health, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health_module, "PROBE_SECONDS", 0.001)
    health.database = False
    answers: list[Exception] = [ZeroDivisionError("once")]
    seen = threading.Event()

    def ask() -> Backlog:
        if answers:
            raise answers.pop()
        seen.set()
        return BACKLOG

    with probe(health, Observer(), ask_database=ask):
        assert seen.wait(5)
    assert health.database
    assert "the probe failed; it continues" in caplog.text
