"""A monitored worker: its pages come up before the model and stay true while it works."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from eat_worker.errors import ConfigurationError, EngineBroken
from eat_worker.jobs.document.advance import Advancer
from eat_worker.jobs.document.stages import Tools
from eat_worker.jobs.monitor import monitor as monitor_module
from eat_worker.jobs.monitor.health import HealthServer
from eat_worker.jobs.monitor.monitor import Monitor
from eat_worker.method.document import Stage
from eat_worker.method.rounds import Limits, Message, Request, RoundResult
from eat_worker.settings import Settings, load_settings

WATCHED: dict[str, Any] = {"ask_broker": lambda: None, "beats": lambda: True}
REQUEST = Request("7", Stage.FORWARD, (Message("user", "Anna"),), {}, Limits(16))


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

    monkeypatch.setattr(monitor_module, "HealthServer", Told)
    return urls


def serving(monitor: Monitor, desk: Any) -> AbstractContextManager[None]:
    return monitor.serving(desk.store, "w1", ["chat.abc", "my.own"], **WATCHED, on_stuck=lambda error: None)


def code(url: str, page: str) -> int:
    return httpx.get(f"{url}/{page}").status_code


def test_pages_are_up_before_the_model_and_ready_while_it_works(desk: Any, tmp_path: Path, served: list[str]) -> None:
    desk.add_run(documents=3)
    with Monitor(settings(tmp_path), desk.stop) as monitor:
        (url,) = served
        assert [code(url, page) for page in ("livez", "startupz", "readyz")] == [200, 503, 503]
        with serving(monitor, desk):
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
    monkeypatch.setattr(monitor_module, "Probe", None)  # calling it would raise
    with (
        Monitor(settings(tmp_path, health_address=address), desk.stop) as monitor,
        serving(monitor, desk),
    ):
        assert monitor.health.not_started() == []
    assert served == []


def test_the_engine_of_the_tools_is_measured(desk: Any, tmp_path: Path) -> None:
    monitor = Monitor(settings(tmp_path, health_address="none"), desk.stop)
    with monitor:
        tools = Tools(monitor.measured(desk.engine))
        desk.add_run()
        advancer = Advancer(desk.store, tools, desk.leases, queues=["chat.a"], max_faults=1, metrics=monitor.metrics)
        assert advancer.take_next()
    value = monitor.metrics.registry.get_sample_value
    assert value("eat_documents_total", {"status": "done", "lang": "de"}) == 1
    assert value("eat_rounds_total", {"stage": "forward", "finish_reason": "stop"}) == 3


def test_a_chat_server_may_be_silent_for_longer_than_an_engine_of_this_process(tmp_path: Path) -> None:
    def stuck_after(**given: Any) -> float:
        return Monitor(settings(tmp_path, stuck_seconds=100, **given), threading.Event()).health.stuck_after

    assert stuck_after() == 160.0
    assert stuck_after(engine="endpoint", endpoint_timeout=300.0) == 700.0


@pytest.mark.parametrize(("engine", "stuck"), [("scripted", ["no answer"]), ("endpoint", [])])
def test_only_an_engine_of_this_process_ends_it_when_it_hangs(
    desk: Any, tmp_path: Path, engine: str, stuck: list[str]
) -> None:
    """A chat server is waited for: every request to it has an end of its own."""
    given = settings(tmp_path, engine=engine, stuck_seconds=1, health_address="none")
    heard: list[str] = []
    ended, let_go = threading.Event(), threading.Event()

    def hang(request: Request) -> RoundResult:
        let_go.wait(10)
        return RoundResult("late")

    desk.engine.ask = hang

    def on_stuck(error: EngineBroken) -> None:
        heard.append("no answer")
        ended.set()

    with Monitor(given, desk.stop) as monitor:
        asking = threading.Thread(target=monitor.measured(desk.engine).ask, args=(REQUEST,))
        with monitor.serving(desk.store, "w1", ["chat.abc", "my.own"], **WATCHED, on_stuck=on_stuck):
            asking.start()
            ended.wait(2.0)
    let_go.set()
    asking.join(5)
    assert heard == stuck


def test_a_wrong_address_stops_the_worker_before_it_loads_anything(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="health_address = 203"),
        Monitor(settings(tmp_path, health_address="203.0.113.1:1"), threading.Event()),
    ):
        pass
