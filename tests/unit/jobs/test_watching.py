"""A watched worker: its pages come up before the model and tell the truth as it goes on."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from eat_worker.errors import BrokerUnavailable, ConfigurationError
from eat_worker.jobs import watching
from eat_worker.jobs.broker import ask_broker
from eat_worker.jobs.health_server import HealthServer
from eat_worker.jobs.watching import Watch
from eat_worker.settings import Settings, load_settings


def settings(tmp_path: Path, **given: Any) -> Settings:
    values = {"state": tmp_path / "state", "broker_url": "none", "engine": "scripted", **given}
    return load_settings(values, directory=tmp_path, environ={"HOME": str(tmp_path)})


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses at which pages were opened."""
    urls: list[str] = []

    class Told(HealthServer):
        def __enter__(self) -> HealthServer:
            urls.append(self.url)
            return super().__enter__()

    monkeypatch.setattr("eat_worker.jobs.health_server.HealthServer", Told)
    return urls


def code(url: str, page: str) -> int:
    return httpx.get(f"{url}/{page}").status_code


def test_pages_are_up_before_the_model_and_ready_while_it_works(desk: Any, tmp_path: Path, served: list[str]) -> None:
    desk.add_run(documents=3)
    with Watch(settings(tmp_path), desk.stop) as watch:
        (url,) = served
        assert [code(url, page) for page in ("livez", "startupz", "readyz")] == [200, 503, 503]
        with watch.serving(desk.store, "w1", ["chat.abc", "my.own"], lambda: True):
            deadline = time.monotonic() + 10
            while code(url, "readyz") != 200:
                assert time.monotonic() < deadline
            assert code(url, "startupz") == 200
            deadline = time.monotonic() + 10
            while 'eat_backlog_documents{state="queued"} 3.0' not in httpx.get(f"{url}/metrics").text:
                assert time.monotonic() < deadline
            assert 'fingerprint="abc"' in httpx.get(f"{url}/metrics").text
            assert 'fingerprint="own"' not in httpx.get(f"{url}/metrics").text  # no queue of a fingerprint
            desk.stop.set()
            assert [code(url, page) for page in ("livez", "readyz")] == [200, 503]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/livez")


@pytest.mark.parametrize("address", ["none"])
def test_without_pages_nobody_probes(
    desk: Any, tmp_path: Path, served: list[str], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(watching, "Probe", None)  # calling it would raise
    with (
        Watch(settings(tmp_path, health_address=address), desk.stop) as watch,
        watch.serving(desk.store, "w1", ["chat.abc"], lambda: True),
    ):
        assert watch.health.loaded
    assert served == []


def test_the_engine_of_the_tools_is_watched(desk: Any, tmp_path: Path) -> None:
    from eat_worker.jobs.stages import Tools

    watch = Watch(settings(tmp_path, health_address="none"), desk.stop)
    with watch:
        tools = watch.tools(Tools(desk.engine))
        desk.add_run()
        from eat_worker.jobs.advance import Advancer

        advancer = Advancer(desk.store, tools, desk.held, queues=["chat.a"], max_faults=1, observer=watch.observer)
        assert advancer.take_next()
    value = watch.observer.registry.get_sample_value
    assert value("eat_documents_total", {"status": "done", "lang": "de"}) == 1
    assert value("eat_rounds_total", {"stage": "forward", "finish_reason": "stop"}) == 3


def test_a_chat_server_may_be_silent_for_longer_than_an_engine_of_this_process(tmp_path: Path) -> None:
    own = Watch(settings(tmp_path, stuck_seconds=100), threading.Event())
    own.health.silent_for = lambda: 165.0
    assert own.health.not_alive() == ["the engine has answered nothing for 165 s"]
    remote = Watch(settings(tmp_path, engine="endpoint", stuck_seconds=100, endpoint_timeout=300.0), threading.Event())
    remote.health.silent_for = lambda: 165.0
    assert remote.health.not_alive() == []
    remote.health.silent_for = lambda: 701.0
    assert remote.health.not_alive() != []


def test_a_wrong_address_stops_the_worker_before_it_loads_anything(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="health_address = 203"),
        Watch(settings(tmp_path, health_address="203.0.113.1:1"), threading.Event()),
    ):
        pass


def test_the_broker_is_asked_where_there_is_one(tmp_path: Path) -> None:
    ask_broker(settings(tmp_path))
    with pytest.raises(BrokerUnavailable, match="does not answer: nobody"):
        ask_broker(settings(tmp_path, broker_url=""))
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        ask_broker(settings(tmp_path, broker_url="redis://127.0.0.1:1/0"))
