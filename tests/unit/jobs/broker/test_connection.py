from dataclasses import replace
from pathlib import Path

import pytest

from eat_worker.errors import BrokerUnavailable, ConfigurationError
from eat_worker.jobs.broker import server_place
from eat_worker.jobs.broker.connection import ask_broker, broker_url, connect, probe, use_broker
from eat_worker.jobs.broker.server import EmbeddedServer, ask_server
from eat_worker.settings import Settings


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path)


def test_the_embedded_broker_is_reached_by_its_socket():
    assert broker_url(Settings(state=Path("/srv/my eat"))) == "redis+socket:///srv/my%20eat/broker.sock"


def test_a_url_that_was_given_is_used_as_it_is(here):
    assert broker_url(replace(here, broker_url="redis://localhost:1")) == "redis://localhost:1"
    assert broker_url(replace(here, broker_url="none")) == "none"


def test_without_a_broker_there_is_nothing_to_use(here):
    with pytest.raises(ConfigurationError, match="broker_url is none"), use_broker(replace(here, broker_url="none")):
        pass


def test_the_embedded_broker_runs_while_it_is_used(here):
    with use_broker(here) as broker:
        connect(broker.url)
        socket = here.state / "broker.sock"
        assert ask_server(socket) == "ready"
        broker.revive()
    assert ask_server(socket) == "nobody"


def test_a_state_folder_with_a_space_can_be_connected_to(tmp_path):
    with use_broker(Settings(state=tmp_path / "my eat")) as broker:
        connect(broker.url)


def test_a_server_of_its_own_is_reached_by_url_and_left_running(here, tmp_path):
    with EmbeddedServer(tmp_path / "theirs") as server:
        url = f"redis+socket://{server.socket}"
        with use_broker(replace(here, broker_url=url)) as broker:
            broker.revive()
        assert ask_server(server.socket) == "ready"
        assert probe(replace(here, broker_url=url)) == f"{url} answers"


def test_a_broker_that_does_not_answer_is_told_with_the_way_out(here):
    nowhere = replace(here, broker_url=f"redis+socket://{here.state}/nothing.sock")
    for attempt in (probe, lambda settings: use_broker(settings).__enter__()):
        with pytest.raises(BrokerUnavailable, match=r"does not answer .*EAT_BROKER_URL"):
            attempt(nowhere)


def test_no_password_is_shown(here):
    with pytest.raises(BrokerUnavailable) as caught:
        connect("redis://eat:geheim@127.0.0.1:1")
    assert "geheim" not in str(caught.value)
    assert "redis://eat:***@127.0.0.1:1" in str(caught.value)


def test_probing_starts_nothing(here):
    assert "not started yet" in probe(here)
    assert not (here.state / "broker.sock").exists()
    with use_broker(here):
        assert "embedded, running" in probe(here)


def test_probing_without_a_broker_says_so(here):
    assert probe(replace(here, broker_url="none")).startswith("none:")


def test_probing_a_silent_server_is_an_error(here, monkeypatch):
    monkeypatch.setattr("eat_worker.jobs.broker.connection.ask_server", lambda socket: "silent")
    with pytest.raises(BrokerUnavailable, match="does not answer; end its process"):
        probe(here)


def test_probing_without_a_server_program_says_what_to_install(here, monkeypatch):
    monkeypatch.setattr(server_place, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigurationError, match=r"eat_worker\[local\]"):
        probe(here)


def test_the_broker_is_asked_where_there_is_one(here):
    ask_broker(replace(here, broker_url="none"))
    with pytest.raises(BrokerUnavailable, match="does not answer: nobody"):
        ask_broker(here)
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        ask_broker(replace(here, broker_url="redis://127.0.0.1:1/0"))
