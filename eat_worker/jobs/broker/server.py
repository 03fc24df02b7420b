"""The embedded Valkey server: one per state folder, shared by all processes that use it, ended by the last one out.

Knows the server's program, its socket, files and locks. Knows neither Celery nor what the messages mean: they are
hints, the database is the truth, so a queue that cannot be read back is set aside and never a reason to stop.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from eat_worker.errors import BrokerUnavailable, ConfigurationError
from eat_worker.jobs.broker.server_place import find_program, socket_path
from eat_worker.private_files import make_private_folder, private

log = logging.getLogger(__name__)

START_SECONDS = 30.0
STOP_SECONDS = 5.0
NO_PID_SECONDS = 1.0  # a server that lives has written its pid file by then
REPLY_SECONDS = 5.0


Reply = Literal["ready", "loading", "silent", "nobody"]


def ask_server(path: Path, command: bytes = b"PING", timeout: float = REPLY_SECONDS) -> Reply:
    """What the server behind a socket says to a command: ready, still loading, nothing in time, or nobody is there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(timeout)
        try:
            line.connect(os.fspath(path))
            line.sendall(command + b"\r\n")
            reply = line.recv(64)
        except TimeoutError:
            return "silent"
        except OSError:
            return "nobody"
    if reply.startswith(b"-LOADING"):
        return "loading"
    return "ready" if reply.startswith(b"+PONG") else "nobody"


class EmbeddedServer:
    """One process's share of the embedded server of a state folder.

    `join` starts the server or finds it running, `revive` starts it again after a crash, `leave` gives the share
    back; the last share shuts the server down. A share is a shared file lock, so a killed process gives its share
    back too, and a server whose users were all killed is found and used by the next one.
    """

    def __init__(self, state: Path, program: str | None = None) -> None:
        self.state = state
        self.socket = socket_path(state)
        self.pid_file = state / "broker.pid"
        self.log_file = state / "logs" / "broker.log"
        self._data = state / "broker"
        self._program = program
        self._share: IO[bytes] | None = None
        self._complaint = ""

    def __enter__(self) -> Self:
        self.join()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def join(self) -> None:
        """Make sure that the server answers and count this process among its users.

        Raises ConfigurationError (no program, no place for the socket or lock) or BrokerUnavailable (does not start).
        """
        with self._starting():
            self._ensure()
            if self._share is None:
                share = self._locked_file("broker.users")
                fcntl.flock(share, fcntl.LOCK_SH)
                self._share = share

    def revive(self) -> None:
        """Start the server again if it died. Raises as `join`."""
        if ask_server(self.socket) != "ready":
            with self._starting():
                self._ensure()

    def leave(self) -> None:
        """Give the share back; the last one out shuts the server down."""
        if self._share is None:
            return
        with self._starting():
            share, self._share = self._share, None
            try:
                fcntl.flock(share, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            finally:
                share.close()
            self._shut_down()

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Only one process at a time starts, heals or stops the server."""
        try:
            make_private_folder(self.state)
            with self._locked_file("broker.lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP):
                raise ConfigurationError(
                    f"the state folder {self.state} is on a file system without locks; choose another --state"
                ) from error
            raise BrokerUnavailable(f"the embedded broker in {self.state} cannot be started: {error}") from error

    def _locked_file(self, name: str) -> IO[bytes]:
        return open(self.state / name, "ab", opener=private)  # Path.open takes no opener

    def _ensure(self) -> None:
        reply = self._await_loaded()
        if reply == "ready":
            return
        if reply == "silent":
            raise BrokerUnavailable(
                f"the embedded broker (process {self._pid() or 'unknown'}, socket {self.socket}) does not answer; "
                "end that process and run the command again"
            )
        self._clear_stale()
        if not self._start():
            # Whatever stops the server from reading its queue back, losing the queue costs nothing: it holds hints.
            log.warning("the embedded broker did not start with its stored queue; starting it with an empty one")
            shutil.rmtree(self._data, ignore_errors=True)
            if not self._start():
                raise BrokerUnavailable(
                    f"the embedded broker does not start: {self._last_words()}; see {self.log_file}"
                )

    def _await_loaded(self) -> Reply:
        deadline = time.monotonic() + START_SECONDS
        while (reply := ask_server(self.socket)) == "loading" and time.monotonic() < deadline:
            time.sleep(0.05)
        return "silent" if reply == "loading" else reply

    def _clear_stale(self) -> None:
        """Remove what a dead server left. A live one that lost its socket file can serve nobody new: it is ended."""
        pid = self._pid()
        if pid is not None:
            log.info("ending the unreachable embedded broker, process %d", pid)
            self._end(pid)
        self.socket.unlink(missing_ok=True)
        self.pid_file.unlink(missing_ok=True)

    def _start(self) -> bool:
        self._data.mkdir(mode=0o700, exist_ok=True)
        self.log_file.parent.mkdir(mode=0o700, exist_ok=True)
        # It detaches itself: neither a Ctrl-C meant for eat nor the end of the process that started it reaches it.
        run = subprocess.run(  # noqa: S603  # a server program of our own choice, no shell
            self._command(), stdin=subprocess.DEVNULL, capture_output=True, check=False, umask=0o077
        )
        self._complaint = (run.stderr or run.stdout).decode(errors="replace").strip()
        started = time.monotonic()
        while run.returncode == 0 and time.monotonic() < started + START_SECONDS:
            if ask_server(self.socket) == "ready":
                log.info("embedded broker started, process %s, socket %s", self._pid(), self.socket)
                return True
            if self._pid() is None and time.monotonic() > started + NO_PID_SECONDS:
                break
            time.sleep(0.01)
        self._clear_stale()
        return False

    def _command(self) -> list[str]:
        options = {
            "daemonize": "yes",
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "databases": "1",
            "pidfile": str(self.pid_file),
            "logfile": str(self.log_file),
            "set-proc-title": "no",  # keeps the socket's path in the process list, by which `_pid` knows its own
        }
        flags = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [self._program or find_program(), *flags]

    def _pid(self) -> int | None:
        """Process id of this state folder's server, None when it is gone or the id belongs to another process now."""
        try:
            pid = int(self.pid_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return pid if self._runs(pid) else None

    def _runs(self, pid: int) -> bool:
        return os.fsencode(self.socket) in _command_line(pid)

    def _shut_down(self) -> None:
        pid = self._pid()
        ask_server(self.socket, b"SHUTDOWN")
        if pid is not None and not self._has_ended(pid):
            self._end(pid)
        log.info("embedded broker stopped")

    def _end(self, pid: int) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._runs(pid):
                os.kill(pid, number)
            if self._has_ended(pid):
                return

    def _has_ended(self, pid: int) -> bool:
        deadline = time.monotonic() + STOP_SECONDS
        while self._runs(pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _last_words(self) -> str:
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        return self._complaint or (lines[-1] if lines else "it said nothing")


def _command_line(pid: int) -> bytes:
    """The arguments of a running process, b"" when there is none."""
    proc = Path(f"/proc/{pid}/cmdline")
    if proc.parent.parent.joinpath("self").exists():
        try:
            return proc.read_bytes()
        except OSError:
            return b""
    command = ["ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, check=False).stdout  # noqa: S603  # macOS: no /proc
