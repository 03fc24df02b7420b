"""The product's database on SQLite in memory: its clock is the agenda's, and its commits may fail in every way.

`Database`, its SQL and its transactions are the product's own; what is replaced is the connection under it. Triggers
write down every change of a document's state and who made it, so that what happened can be judged afterwards. One
transaction at a time, as in SQLite: what PostgreSQL's workers do beside each other is tested with a real one.
"""

from __future__ import annotations

import copy
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from eat_worker.errors import LeaseLost
from eat_worker.storage import schema
from eat_worker.storage.engine import Database, Statement, Transaction

HISTORY = """
CREATE TABLE history (
    document_id, at, was, status, attempt_was, attempt, owner_was, owner, lease_was, lease, due_was,
    expiries_was, expiries, run_state, process, due
);
CREATE TRIGGER history AFTER UPDATE ON documents
WHEN OLD.status IS NOT NEW.status OR OLD.attempt IS NOT NEW.attempt OR OLD.lease_owner IS NOT NEW.lease_owner
BEGIN
    INSERT INTO history VALUES (
        NEW.id, {now}, OLD.status, NEW.status, OLD.attempt, NEW.attempt, OLD.lease_owner, NEW.lease_owner,
        OLD.lease_until, NEW.lease_until, OLD.not_before, OLD.expiries, NEW.expiries,
        (SELECT state FROM runs WHERE id = NEW.run_id), process(), NEW.not_before
    );
END;
CREATE TABLE written (kind, document_id, at, key, attempt, held_attempt, status, run_state, process);
"""
WRITTEN = """
CREATE TRIGGER {table}_{verb} AFTER {verb} ON {table}
BEGIN
    INSERT INTO written SELECT '{table}', NEW.document_id, {now}, {key}, {attempt}, documents.attempt,
        documents.status, runs.state, process()
    FROM documents JOIN runs ON runs.id = documents.run_id WHERE documents.id = NEW.document_id;
END;
"""
NOW = "((julianday('now') - 2440587.5) * 86400.0)"  # as the product asks for it
# What names the row, and under which attempt it says it was written.
KEYS = {
    "rounds": ("NEW.stage || '/' || NEW.entity || '/' || NEW.round", "NEW.attempt"),
    "scores": ("''", "documents.attempt"),
    "entities": ("NEW.idx", "documents.attempt"),
}
OPERATOR = "operator"
DAY = 86400.0
EPOCH = 2440587.5  # the Julian day of 1970-01-01


class Ground:
    """What all worlds of this process stand on: one connection, and an empty database at head to start each from."""

    def __init__(self) -> None:
        self.clock: Callable[[], float] = lambda: 0.0
        self.process = ""  # whose transaction it is
        self.sqlite = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, cached_statements=512)
        # The product asks for the Julian day of 'now': this is where the virtual clock comes in.
        self.sqlite.create_function("julianday", 1, lambda _: self.clock() / DAY + EPOCH)
        self.sqlite.create_function("process", 0, lambda: self.process)
        with tempfile.TemporaryDirectory(prefix="eatsim") as folder:
            url = f"sqlite:///{Path(folder) / 'eat.db'}"
            schema.upgrade(url)
            self._template = SimulatedDatabase(url, self)
            self._template.name = "sqlite:///eat.db"  # the same in every trace
            with closing(sqlite3.connect(Path(folder) / "eat.db")) as file:
                file.execute("PRAGMA journal_mode=DELETE")  # a database in memory has no WAL
                file.executescript(HISTORY.replace("{now}", NOW))
                for table, (key, attempt) in KEYS.items():
                    for verb in ("INSERT", "UPDATE"):
                        file.executescript(WRITTEN.format(table=table, verb=verb, now=NOW, key=key, attempt=attempt))
                self.sqlite.deserialize(file.serialize())
        tables = self.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'")
        clear = "".join(f"DELETE FROM {name};" for (name,) in tables)
        self._clear = f"PRAGMA foreign_keys=OFF; BEGIN; {clear} COMMIT; PRAGMA foreign_keys=ON;"

    def reset(self, clock: Callable[[], float]) -> None:
        """An empty database, whose time is `clock`. Emptied and not made anew: prepared statements stay prepared."""
        self.clock = clock
        self.sqlite.executescript(self._clear)

    def database(self, client: Client) -> SimulatedDatabase:
        """The database as one process sees it."""
        database = copy.copy(self._template)
        database.client = client
        database.engine = Connections(self.sqlite, client, self._template.dialect)  # type: ignore[assignment]  # stands in for SQLAlchemy's
        return database

    def sql(self, statement: Statement) -> str:
        """What a statement is in SQL."""
        return self._template.compiled(statement)[0]

    def rewrite(self, texts: dict[Statement, str]) -> None:
        """Take these texts for these statements, and each other statement as it is."""
        compiled = self._template._compiled
        compiled.clear()
        for statement, text in texts.items():
            _, constants = self._template.compiled(statement)
            compiled[statement] = (text, constants)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database holds, asked from outside."""
        return self.sqlite.execute(sql, values).fetchall()


class Client:
    """What a connection asks of the process that holds it. This one, the operator's, has no faults."""

    process = OPERATOR  # no two have the same name

    def pause(self) -> None:
        """About to begin a transaction that writes."""

    def is_away(self) -> bool:
        """Whether the database cannot be reached."""
        return False

    def refused(self) -> None:
        """The fence let no write through."""

    def commit(self, sqlite: sqlite3.Connection) -> None:
        """Commit, or fail to."""
        sqlite.execute("COMMIT")


class SimulatedDatabase(Database):
    """The product's Database; a transaction that writes is a place where others may have their turn."""

    client: Client

    def __init__(self, url: str, ground: Ground) -> None:
        super().__init__(url, there=True)
        self.dialect = self.engine.dialect
        self.ground = ground

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        self.client.pause()
        self.ground.process = self.client.process
        self.engine.writes = True  # type: ignore[attr-defined]  # it is a Connections
        try:
            with super().write() as transaction:
                yield transaction
        except LeaseLost:
            self.client.refused()
            raise


class Connections:
    """Pool, pooled connection and driver's connection of one process, all in one."""

    def __init__(self, sqlite: sqlite3.Connection, client: Client, dialect: Any) -> None:
        self.dialect = dialect
        self.writes = False
        self._sqlite = sqlite
        self._client = client
        self.execute = sqlite.execute
        self.cursor = sqlite.cursor
        self.driver_connection = self

    def raw_connection(self) -> Connections:
        """What the pool gives."""
        if self._client.is_away():
            raise sqlite3.OperationalError("unable to open database file")
        return self

    def commit(self) -> None:
        """The driver's commit. The client decides what becomes of one that wrote."""
        if self.writes:
            self.writes = False
            self._client.commit(self._sqlite)
        else:
            self._sqlite.execute("COMMIT")

    def rollback(self) -> None:
        """The driver's rollback."""
        self.writes = False
        if self._sqlite.in_transaction:
            self._sqlite.execute("ROLLBACK")

    def close(self) -> None:
        """Nothing to give back."""

    def dispose(self) -> None:
        """Nothing to close."""
