"""Connections, transactions and errors: the one place where a database driver is touched.

Statements are SQLAlchemy Core, compiled once per database and then run on the driver itself: a worker runs some fifty
small statements per document, and there Core's bookkeeping costs several times what the statement does.
Knows SQLite, PostgreSQL and what their errors mean. Knows no table.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, Table, bindparam, create_engine, event, make_url, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import ClauseElement

from eat_worker.errors import ConfigurationError, DiskFull, EatError, SchemaError, StoreUnavailable
from eat_worker.redaction import Redactor, passwords_in, redact_url
from eat_worker.storage.deadlines import Deadlines

BUSY_SECONDS = 30
CONNECT_SECONDS = 10
CONNECTIONS = 16  # per process; transactions last milliseconds, so a hundred threads share them

SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")  # PostgreSQL; SQLite knows no other way
MISSING_TABLE = ("42P01", "42703")  # PostgreSQL: undefined table, undefined column
DISK_FULL = "53100"  # PostgreSQL
# PostgreSQL ended the session because it was idle inside a transaction, or in one for too long: to psycopg a mistake of
# the program's, here the mark of a process that had been stopped or cut off.
TIMED_OUT = ("25P03", "25P04")
# PostgreSQL: a page that cannot be read or makes no sense. Like SQLITE_CORRUPT, which is also what SQLite says when a
# read ends with EIO, it is no document's fault, and may be over with the next try.
DAMAGED = ("XX001", "XX002")
HOW_TO_MEND = "the disk failed or the file is damaged; if it stays so, put a backup in its place"


def parse_url(url: str) -> URL:
    """The URL of a database this program can use. Raises ConfigurationError on any other."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        message = f"{redact_url(url)!r} is not a database URL; write sqlite:///FILE or postgresql://USER@HOST/NAME"
        raise ConfigurationError(message) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise ConfigurationError(f"{parsed.drivername!r} is not a database for eat; use sqlite or postgresql")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError("an SQLite database in memory is forgotten at exit; write sqlite:///FILE")
    return parsed


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL; None for another database."""
    parsed = parse_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


@dataclass(frozen=True)
class Upsert:
    """Insert rows of `table`; where `key` is there already, overwrite `replace` (nothing when empty)."""

    table: Table
    key: tuple[str, ...]
    replace: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)  # expressions that need no value from the caller

    def __hash__(self) -> int:
        return id(self)

    def statement(self) -> Executable:
        """Both databases spell ON CONFLICT alike, so that one construct serves both."""
        values = {name: bindparam(name, type_=self.table.c[name].type) for name in self.columns}
        new = insert(self.table).values({**values, **self.fixed})
        if not self.replace:
            return new.on_conflict_do_nothing(index_elements=list(self.key))
        return new.on_conflict_do_update(
            index_elements=list(self.key), set_={name: new.excluded[name] for name in self.replace}
        )


Statement = Executable | Upsert
Rows = list[tuple[Any, ...]]


class Transaction:
    """Runs statements inside one transaction; every value is passed by the name of its bind parameter."""

    __slots__ = ("_connection", "database")

    def __init__(self, database: Database, connection: Any) -> None:
        self.database = database
        self._connection = connection

    def rows(self, statement: Statement, **values: Any) -> Rows:
        """All rows of a query or of a RETURNING clause."""
        sql, constants = self.database.compiled(statement)
        cursor = self._connection.execute(sql, {**constants, **values})
        return list(cursor.fetchall()) if cursor.description else []

    def row(self, statement: Statement, **values: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        rows = self.rows(statement, **values)
        return rows[0] if rows else None

    def run(self, statement: Statement, **values: Any) -> int:
        """The number of rows written."""
        sql, constants = self.database.compiled(statement)
        return int(self._connection.execute(sql, {**constants, **values}).rowcount)

    def many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> int:
        """Runs the statement once per row; the number of rows written."""
        sql, constants = self.database.compiled(statement)
        batch = [{**constants, **row} for row in rows] if constants else list(rows)
        if not batch:
            return 0
        cursor = self._connection.cursor()
        cursor.executemany(sql, batch)
        return int(cursor.rowcount)


class Database:
    """One database and this process's connections to it. Nothing is connected before the first transaction.

    With `there`, an SQLite file that is missing is an outage; without, it is made. With `answer_within`, a transaction
    on a server that takes more seconds ends as if the server were gone, on either side: where nobody answers, nobody
    may wait or keep locks for ever. Raises ConfigurationError when the URL cannot work or its driver is not installed.
    """

    def __init__(
        self, url: str, *, foreign_keys: bool = True, there: bool = False, answer_within: float | None = None
    ) -> None:
        parsed = parse_url(url)
        self.name = redact_url(url)
        self.redact = Redactor(passwords_in(url))  # for what is written into rows, too
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.engine = _engine(parsed, foreign_keys=foreign_keys, there=there)
        self._deadlines: Deadlines | None = None
        if answer_within is not None and not self.is_sqlite:
            self._deadlines = deadlines = Deadlines(answer_within)
            event.listen(self.engine, "connect", lambda new, _record: _end_idle(new, answer_within, deadlines))
        self._compiled: dict[Statement, tuple[str, Mapping[str, Any]]] = {}
        # SQLite has one writer. Threads that queue here wake at once; in SQLite's own busy loop they would sleep.
        self._turn: AbstractContextManager[Any] = threading.Lock() if self.is_sqlite else nullcontext()
        self._failed_at = -math.inf

    def seconds_since_failure(self) -> float:
        """Seconds since this process last could not reach the database at all; infinite when it always could.

        A statement that fails on a database that is there is none of it.
        """
        return time.monotonic() - self._failed_at

    def compiled(self, statement: Statement) -> tuple[str, Mapping[str, Any]]:
        """The statement in this database's SQL, with the constants written into it."""
        found = self._compiled.get(statement)
        if found is None:
            clause = statement.statement() if isinstance(statement, Upsert) else statement
            assert isinstance(clause, ClauseElement)
            compiled = clause.compile(dialect=self.engine.dialect)
            constants = {name: value for name, value in (compiled.params or {}).items() if value is not None}
            found = self._compiled[statement] = (str(compiled), constants)
        return found

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that writes: all of it or nothing. Raises StoreUnavailable, DiskFull, SchemaError."""
        # Reserved from the start: a transaction that reads first and writes later could not be upgraded.
        with self._turn, self._transaction("BEGIN IMMEDIATE") as transaction:
            yield transaction

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that only reads, all of it from one moment. Raises StoreUnavailable, SchemaError."""
        with self._transaction("BEGIN") as transaction:
            if not self.is_sqlite:
                transaction.rows(SNAPSHOT)
            yield transaction

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        pooled = self._connect()
        connection = pooled.driver_connection
        try:
            with self._deadlines.watching(connection.fileno()) if self._deadlines else nullcontext():
                if self.is_sqlite:
                    self._begin(connection, begin)
                yield Transaction(self, connection)
                connection.commit()
        except self.errors as error:
            self._abandon(pooled)
            raise self.translate(error) from error
        except BaseException:
            with suppress(*self.errors):
                connection.rollback()
            raise
        finally:
            pooled.close()

    def run_alone(self, sql: str, *values: Any) -> None:
        """Runs one statement by itself; on SQLite outside any transaction, as VACUUM must be."""
        pooled = self._connect()
        try:
            pooled.driver_connection.execute(sql, values)
            pooled.driver_connection.commit()
        except self.errors as error:
            raise self.translate(error) from error
        finally:
            pooled.close()

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Whatever the driver or SQLAlchemy raises."""
        return (self.engine.dialect.loaded_dbapi.Error, SQLAlchemyError)

    def _connect(self) -> Any:
        try:
            return self.engine.raw_connection()
        except self.errors as error:
            self._failed_at = time.monotonic()
            raise self.translate(error) from error

    def _begin(self, connection: Any, begin: str) -> None:
        try:
            connection.execute(begin)
        except sqlite3.Error:
            self._failed_at = time.monotonic()
            raise

    def _abandon(self, pooled: Any) -> None:
        connection = pooled.driver_connection
        with suppress(*self.errors):
            connection.rollback()
        if not self.is_sqlite and connection.closed:
            # The server went away: its other connections are as dead as this one.
            self._failed_at = time.monotonic()
            pooled.invalidate()
            self.engine.dispose()

    def translate(self, error: BaseException) -> EatError:
        """The deliberate error that a driver's error stands for; no secret of the URL is in its message."""
        original = getattr(error, "orig", None) or error
        reason = self.redact(str(original).strip() or type(original).__name__)
        if isinstance(original, sqlite3.Error):
            return self._of_sqlite(original, reason)
        sqlstate = getattr(original, "sqlstate", None)
        if sqlstate == DISK_FULL:
            return DiskFull(f"the disk of the database {self.name} is full: {reason}")
        if sqlstate in MISSING_TABLE:
            return self._no_table(reason)
        if sqlstate in DAMAGED:
            return StoreUnavailable(f"the database {self.name} cannot be read ({reason}): {HOW_TO_MEND}")
        dbapi = self.engine.dialect.loaded_dbapi
        # libpq has neither a state nor a class for an answer that it cannot make out.
        garbled = sqlstate is None and type(original) in (dbapi.DatabaseError, dbapi.InternalError)
        if (
            garbled
            or sqlstate in TIMED_OUT
            or isinstance(original, (dbapi.OperationalError, dbapi.InterfaceError, SQLAlchemyError))
        ):
            return StoreUnavailable(f"the database {self.name} does not answer: {reason}")
        return EatError(f"the database {self.name} refused: {reason}")

    def _of_sqlite(self, error: sqlite3.Error, reason: str) -> EatError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return DiskFull(f"no space left for the database {self.name}; what was committed is intact: {reason}")
        if code == sqlite3.SQLITE_NOTADB:
            return SchemaError(f"{self.name} is not an eat database: {reason}")
        if code == sqlite3.SQLITE_CORRUPT:
            return StoreUnavailable(f"the database {self.name} cannot be read ({reason}): {HOW_TO_MEND}")
        if reason.startswith(("no such table", "no such column")):
            return self._no_table(reason)
        if code == sqlite3.SQLITE_CANTOPEN:
            reason += "; it must be there, in a folder that is writable"
        if isinstance(error, (sqlite3.OperationalError, sqlite3.InterfaceError)):
            return StoreUnavailable(f"the database {self.name} does not answer: {reason}")
        return EatError(f"the database {self.name} refused: {reason}")

    def _no_table(self, reason: str) -> SchemaError:
        return SchemaError(f"the database {self.name} lacks a table or column ({reason}); run: eat db upgrade")

    def close(self) -> None:
        """Closes the connections; the object may be used again."""
        self.engine.dispose()


def _engine(parsed: URL, *, foreign_keys: bool, there: bool) -> Engine:
    options: dict[str, Any] = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_use_lifo": True}
    if parsed.get_backend_name() == "sqlite":
        # isolation_level None: transactions begin where this module says so, never by the driver's guess.
        arguments: dict[str, Any] = {"isolation_level": None, "timeout": BUSY_SECONDS}
        if there:
            # An empty file in the place of one that was moved away would be taken for a database without tables.
            file = f"{Path(str(parsed.database)).absolute().as_uri()}?mode=rw"
            options["creator"] = lambda: sqlite3.connect(file, uri=True, check_same_thread=False, **arguments)
        engine = create_engine(parsed, paramstyle="named", connect_args=arguments, **options)
        event.listen(engine, "connect", lambda connection, _record: _prepare(connection, foreign_keys=foreign_keys))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine
    defaults = {"connect_timeout": CONNECT_SECONDS, "application_name": "eat"}
    arguments = {name: value for name, value in defaults.items() if name not in parsed.query}
    try:
        return create_engine(parsed, connect_args=arguments, **options)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigurationError("PostgreSQL needs its driver; run: pip install 'eat_worker[postgres]'") from error


def _prepare(connection: sqlite3.Connection, *, foreign_keys: bool) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")


def _end_idle(connection: Any, seconds: float, deadlines: Deadlines) -> None:
    """Have the server end a session that leaves a transaction open for so long: a process that hangs holds locks."""
    with deadlines.watching(connection.fileno()):
        connection.execute(f"SET idle_in_transaction_session_timeout = {int(1000 * seconds)}")
        connection.commit()
