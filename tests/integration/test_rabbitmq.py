"""RabbitMQ with quorum queues and PostgreSQL under the whole queue, with real processes.

RabbitMQ is Debian's package where it is installed, or unpacked below the folder that RABBITMQ_TEST_ROOT names
(`apt-get download` the package with its erlang-* dependencies, then `dpkg -x` each); without either these tests skip.
It runs on loopback, never as root, from a folder of its own, and is ended by its ids.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import text

from eat_worker.errors import BrokerUnavailable
from eat_worker.jobs.broker.app import open_app
from eat_worker.jobs.broker.connection import connect
from eat_worker.jobs.shutdown import PARENT_VARIABLE
from eat_worker.jobs.supervisor import environment
from eat_worker.runs.submitting import submit
from eat_worker.settings import load_settings
from eat_worker.storage.store import open_store

NOBODY = 65534
START_SECONDS = 90.0
WORK = [sys.executable, "-m", "eat_worker", "worker"]
ROUNDS_PER_DOCUMENT = 7  # 3 forward, 1 extract, 3 back-translation; the entity is found without a round
ERL = """#!/bin/sh
export ROOTDIR={erlang} BINDIR={binaries} EMU=beam PROGNAME=erl
exec {binaries}/erlexec "$@"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RabbitServer:
    """A broker and the name server of Erlang that it needs, both on ports of their own."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.names = free_port()
        self.program = next(iter(sorted(root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))))
        erlang = root / "usr/lib/erlang"
        self.binaries = next(iter(sorted(erlang.glob("erts-*/bin"))))
        self.processes: list[subprocess.Popen[bytes]] = []
        # The package's own script looks for Erlang below /usr only.
        (folder / "bin").mkdir()
        (folder / "bin" / "erl").write_text(ERL.format(erlang=erlang, binaries=self.binaries))
        (folder / "bin" / "erl").chmod(0o755)
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.local = 127.0.0.1:{self.port}\n")
        (folder / "env.conf").touch()
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        folder = self.folder
        environ = {
            "PATH": f"{folder / 'bin'}:{self.binaries}:/usr/bin:/bin",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "eat@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }
        if not self.processes:
            names = [str(self.binaries / "epmd"), "-port", str(self.names), "-address", "127.0.0.1"]
            self._spawn(names, environ)
        self._spawn([str(self.program)], environ)
        self._wait()

    def kill(self) -> None:
        """kill -9 to the broker and all it started; its name server lives on, as it would."""
        server = self.processes.pop()
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        server.wait(10)

    def remove(self) -> None:
        while self.processes:
            self.kill()

    def _spawn(self, command: list[str], environ: dict[str, str]) -> None:
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        with (self.folder / "out").open("ab") as out:
            self.processes.append(
                subprocess.Popen(command, env=environ, cwd=self.folder, stdout=out, stderr=out, **identity)
            )

    def _wait(self) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                connect(self.url)
            except BrokerUnavailable:
                assert self.processes[-1].poll() is None, (self.folder / "out").read_text()[-2000:]
                assert time.monotonic() < end, (self.folder / "out").read_text()[-2000:]
                time.sleep(0.2)
            else:
                return


@pytest.fixture(scope="module")
def rabbit() -> Iterator[RabbitServer]:
    """A running RabbitMQ. Skips where the package is missing."""
    root = Path(os.environ.get("RABBITMQ_TEST_ROOT", "/"))
    if not list(root.glob("usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server")) or not list(
        root.glob("usr/lib/erlang/erts-*")
    ):
        pytest.skip("RabbitMQ is not here; install Debian's rabbitmq-server, or unpack it and set RABBITMQ_TEST_ROOT")
    folder = Path(tempfile.mkdtemp(prefix="eatmq"))
    server = RabbitServer(root, folder)
    try:
        server.start()
        yield server
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


class Site:
    """A run on PostgreSQL and RabbitMQ, worked on by `eat worker` processes."""

    def __init__(self, folder: Path, documents: int, *, seconds: float, **settings: Any) -> None:
        self.folder = folder
        self.documents = documents
        (folder / "script.jsonl").write_text(f'{{"fault": "sleep", "text": "", "seconds": {seconds}}}\n')
        lines = (f'{{"id": "d{number}", "text": "Seoul ruft {number}"}}\n' for number in range(documents))
        (folder / "corpus.jsonl").write_text("".join(lines))
        given = {"engine": "scripted", "script": str(folder / "script.jsonl"), "health_address": "none", **settings}
        given |= {"state": folder / "state", "concurrency": 4, "lease_seconds": 2.0, "window": 16}
        self.settings = load_settings(given, directory=folder, environ={})
        submit(self.settings, folder / "corpus.jsonl", lang="de", name="r")
        self.workers: list[subprocess.Popen[bytes]] = []

    def worker(self) -> subprocess.Popen[bytes]:
        given = environment(self.settings)
        del given[PARENT_VARIABLE]
        with (self.folder / "log").open("ab") as log:
            self.workers.append(subprocess.Popen(WORK, env=given, stdout=log, stderr=log, cwd=self.folder))
        return self.workers[-1]

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with open_store(self.settings.database) as store, store.database.read() as transaction:
            return transaction.rows(text(query))

    def done(self) -> int:
        return int(self.rows("SELECT count(*) FROM documents WHERE status = 'done'")[0][0])

    def check_all_done(self) -> None:
        """Every document done, each stage committed once, each round there once."""
        assert self.rows("SELECT status, count(*) FROM documents GROUP BY 1") == [("done", self.documents)]
        twice = "SELECT document_id FROM attempts WHERE outcome = 'committed' GROUP BY document_id, stage"
        assert self.rows(f"{twice} HAVING count(*) > 1") == []
        assert self.rows("SELECT count(*) FROM rounds") == [(ROUNDS_PER_DOCUMENT * self.documents,)]


def eventually(condition: Callable[[], object], site: Site, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen in time: {site.log()[-3000:]}"
        time.sleep(0.05)


@pytest.fixture
def make_site(tmp_path: Path, postgres: Any, migrated: str, rabbit: RabbitServer) -> Iterator[Callable[..., Site]]:
    """Makes the site of a test; what is left of its workers is ended, by its id."""
    made: list[Site] = []

    def make(documents: int, seconds: float) -> Site:
        urls = {"database_url": postgres.create_database(migrated), "broker_url": rabbit.url}
        made.append(Site(tmp_path, documents, seconds=seconds, **urls))
        return made[-1]

    yield make
    for site in made:
        for worker in site.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait(10)


def hint_queue(site: Site) -> str:
    """The queue in which the run's documents begin."""
    return str(json.loads(site.rows("SELECT queues_json FROM runs")[0][0])["forward"])


@pytest.mark.timeout(240)
def test_two_workers_share_a_run_over_quorum_queues(make_site: Callable[..., Site], rabbit: RabbitServer) -> None:
    site = make_site(60, 0.02)
    for _ in range(2):
        site.worker()
    eventually(lambda: site.done() == site.documents, site)
    site.check_all_done()
    assert site.rows("SELECT count(DISTINCT worker) FROM attempts") == [(2,)]
    with open_app(rabbit.url).connection_for_read() as connection, connection.channel() as channel:
        queue = hint_queue(site)
        assert channel.queue_declare(queue=queue, passive=True).message_count == 0
        quorum = {"x-queue-type": "quorum"}  # a queue of another kind refuses these words
        channel.queue_declare(queue=queue, durable=True, auto_delete=False, arguments=quorum)
    for worker in site.workers:
        worker.send_signal(signal.SIGTERM)
    assert [worker.wait(30) for worker in site.workers] == [0, 0]


@pytest.mark.timeout(240)
def test_nothing_is_lost_with_a_worker_its_messages_or_the_broker(
    make_site: Callable[..., Site], rabbit: RabbitServer
) -> None:
    site = make_site(60, 0.05)
    first, second = site.worker(), site.worker()
    eventually(lambda: site.done() >= 5, site)
    first.kill()
    first.wait(10)
    with open_app(rabbit.url).connection_for_write() as connection, connection.channel() as channel:
        channel.queue_delete(queue=hint_queue(site))  # with every hint in it
    eventually(lambda: site.done() >= 15, site)
    rabbit.kill()
    time.sleep(1.0)
    rabbit.start()
    eventually(lambda: site.done() == site.documents, site, 120)
    site.check_all_done()
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0
