"""The embedded server between processes: who starts it, who shares it, who ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from eat_worker.jobs.broker.server import EmbeddedServer, ask_server

CHECKOUT = Path(__file__).resolve().parents[2]
USES = """
import sys
from pathlib import Path
from eat_worker.jobs.broker.server import EmbeddedServer
with EmbeddedServer(Path(sys.argv[1])) as server:
    print(server.pid_file.read_text().strip(), flush=True)
    sys.stdin.read()
"""


class User:
    """A process that uses the server until it is told to leave, or is killed."""

    def __init__(self, state: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USES, str(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )

    def server(self) -> int:
        """Process id of the server it found."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def leave(self) -> None:
        self.process.communicate(timeout=20)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=20)


def test_processes_that_start_together_share_one_server(tmp_path):
    users = [User(tmp_path) for _ in range(4)]
    assert len({user.server() for user in users}) == 1
    for user in users:
        assert ask_server(tmp_path / "broker.sock") == "ready"
        user.leave()
    assert ask_server(tmp_path / "broker.sock") == "nobody"


def test_a_killed_owner_leaves_the_server_to_the_next_one(tmp_path):
    owner = User(tmp_path)
    pid = owner.server()
    owner.kill()
    assert ask_server(tmp_path / "broker.sock") == "ready"
    heir = User(tmp_path)
    assert heir.server() == pid
    heir.leave()
    assert ask_server(tmp_path / "broker.sock") == "nobody"


def test_a_killed_user_does_not_count_any_more(tmp_path):
    with EmbeddedServer(tmp_path) as server:
        user = User(tmp_path)
        user.server()
        user.kill()
        assert ask_server(server.socket) == "ready"
    assert ask_server(server.socket) == "nobody"


def test_the_server_outlives_the_terminal_of_its_owner(tmp_path):
    with EmbeddedServer(tmp_path) as server:
        pid = int(server.pid_file.read_text())
        assert os.getsid(pid) != os.getsid(0)


def test_messages_survive_a_killed_server(tmp_path):
    import redis

    with EmbeddedServer(tmp_path) as server:
        with redis.Redis(unix_socket_path=str(server.socket)) as client:
            client.lpush("chat.a", "hint")
            client.execute_command("BGREWRITEAOF")
            client.config_set("appendfsync", "always")
            client.lpush("chat.a", "hint")
        server._end(int(server.pid_file.read_text()))
        server.revive()
        with redis.Redis(unix_socket_path=str(server.socket)) as client:
            assert client.llen("chat.a") == 2
