"""URLs, secrets, transactions and what a driver's errors mean."""

from __future__ import annotations

import math
import sqlite3
import threading
from pathlib import Path

import psycopg
import psycopg.errors
import pytest
from sqlalchemy import bindparam, event, select, text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import TimeoutError as PoolTimeout

from eat_worker.errors import ConfigurationError, DiskFull, EatError, SchemaError, StoreUnavailable
from eat_worker.method.document import Document
from eat_worker.storage.engine import Database, Upsert, parse_url, sqlite_file
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.tables import models, now
from eat_worker.storage.values import Run


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("eat.db", "'eat.db' is not a database URL; write sqlite:///FILE or postgresql://USER@HOST/NAME"),
        ("mysql://db/eat", "'mysql' is not a database for eat; use sqlite or postgresql"),
        ("sqlite://", "an SQLite database in memory is forgotten at exit; write sqlite:///FILE"),
        ("sqlite:///:memory:", "an SQLite database in memory is forgotten at exit; write sqlite:///FILE"),
    ],
)
def test_a_url_that_cannot_work_says_what_would(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_url(url)
    assert str(caught.value) == message


def test_postgresql_means_psycopg_3() -> None:
    assert parse_url("postgresql://db/eat").drivername == "postgresql+psycopg"
    assert parse_url("postgres://db/eat").drivername == "postgresql+psycopg"


def test_only_sqlite_has_a_file() -> None:
    assert sqlite_file("sqlite:////tmp/eat.db") == Path("/tmp/eat.db")
    assert sqlite_file("postgresql://db/eat") is None


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'eat_worker\[postgres\]'"):
        Database("postgresql://db/eat")


def test_connections_are_prepared_for_many_writers(store: Store) -> None:
    with store.database.read() as transaction:
        pragmas = {
            name: transaction.rows(text(f"PRAGMA {name}"))[0][0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 30000}


ADD = Upsert(models, ("fingerprint",), (), ("fingerprint", "spec_json"), {"created_at": now()})
REPLACE = Upsert(models, ("fingerprint",), ("spec_json",), ("fingerprint", "spec_json"), {"created_at": now()})
SPECS = select(models.c.fingerprint, models.c.spec_json).order_by(models.c.fingerprint)


def test_an_upsert_keeps_or_replaces_what_is_there(store: Store) -> None:
    with store.database.write() as transaction:
        rows = [{"fingerprint": name, "spec_json": name} for name in ("a", "b", "a")]
        assert transaction.many(ADD, rows) == 2
        assert transaction.run(ADD, fingerprint="a", spec_json="new") == 0
        assert transaction.run(REPLACE, fingerprint="b", spec_json="new") == 1
        assert transaction.many(ADD, []) == 0
        assert transaction.rows(SPECS) == [("a", "a"), ("b", "new")]


def test_an_error_undoes_the_whole_transaction(store: Store) -> None:
    def failing() -> None:
        with store.database.write() as transaction:
            transaction.run(ADD, fingerprint="a", spec_json="a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    with store.database.read() as transaction:
        assert transaction.rows(SPECS) == []


def test_threads_take_turns_at_writing(store: Store) -> None:
    count = text("UPDATE models SET spec_json = spec_json + 1")
    with store.database.write() as transaction:
        transaction.run(ADD, fingerprint="a", spec_json="0")

    def add() -> None:
        for _ in range(25):
            with store.database.write() as transaction:
                transaction.run(count)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.database.read() as transaction:
        assert transaction.rows(SPECS) == [("a", "200")]


def test_another_process_that_writes_is_waited_for_and_then_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    event.listen(store.database.engine, "checkout", lambda c, *_: c.execute("PRAGMA busy_timeout=50"))
    other = sqlite3.connect(store.database.engine.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert store.database.seconds_since_failure() == math.inf
    with pytest.raises(StoreUnavailable, match="does not answer: database is locked"):
        store.runs.add_prompts([("p", "forward", 1, "t", "official")])
    assert store.database.seconds_since_failure() < 5
    other.execute("ROLLBACK")
    other.close()
    store.runs.add_prompts([("p", "forward", 1, "t", "official")])


def test_a_driver_error_is_kept_as_the_cause(store: Store) -> None:
    with pytest.raises(EatError) as caught, store.database.write() as transaction:
        transaction.run(text("INSERT INTO models (id) VALUES (1)"))
    assert "refused: NOT NULL constraint failed: models.fingerprint" in str(caught.value)
    assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)
    assert not isinstance(caught.value, StoreUnavailable)


def read_absent(store: Store) -> None:
    with store.database.read() as transaction:
        transaction.rows(text("SELECT * FROM absent"))


def test_a_missing_table_says_how_to_get_it(store: Store) -> None:
    with pytest.raises(SchemaError, match=r"lacks a table or column \(no such table: absent\)"):
        read_absent(store)


def test_a_wrong_name_of_a_value_is_an_error_and_not_null(store: Store) -> None:
    with pytest.raises(EatError), store.database.read() as transaction:
        transaction.rows(SPECS.where(models.c.fingerprint == bindparam("one")), other="a")


def test_a_full_disk_keeps_what_was_committed(store: Store, run: Run) -> None:
    documents = [Document(f"서울 {'x' * 500} {number}", "ko") for number in range(600)]
    store.runs.add_documents(run.id, documents[:200])
    with store.database.read() as transaction:
        pages = transaction.rows(text("PRAGMA page_count"))[0][0]
    store.close()
    event.listen(store.database.engine, "connect", lambda c, _: c.execute(f"PRAGMA max_page_count={pages + 40}"))
    with pytest.raises(DiskFull, match=r"no space left for the database .*; what was committed is intact") as caught:
        store.runs.add_documents(run.id, documents[200:], batch=50)
    assert caught.value.exit_code == 69
    kept = store.reading.count_unfinished([run.id])
    assert kept >= 200
    assert kept % 50 == 0
    url = str(store.database.engine.url)
    store.close()
    with open_store(url) as roomier:
        with roomier.database.read() as transaction:
            assert transaction.rows(text("PRAGMA integrity_check")) == [("ok",)]
        assert roomier.runs.add_documents(run.id, documents).new == 600 - kept


def test_a_statement_is_compiled_once(store: Store) -> None:
    assert isinstance(store.database.engine.dialect, SQLiteDialect_pysqlite)
    assert store.database.compiled(SPECS) is store.database.compiled(SPECS)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.errors.DiskFull("could not extend file; password=s3cret"), DiskFull),
        (psycopg.errors.UndefinedTable("relation does not exist"), SchemaError),
        (psycopg.errors.DeadlockDetected("deadlock detected"), StoreUnavailable),
        (psycopg.errors.DataCorrupted("invalid page in block 7"), StoreUnavailable),
        (psycopg.DatabaseError("lost synchronization with server: got message type 'x'"), StoreUnavailable),
        (PoolTimeout("QueuePool limit of size 16 reached"), StoreUnavailable),
    ],
)
def test_an_error_of_postgresql_is_told_in_our_words(error: Exception, expected: type[EatError]) -> None:
    told = Database("postgresql://eat:s3cret@db/eat").translate(error)
    assert type(told) is expected
    assert "s3cret" not in str(told)


def test_a_character_that_postgresql_refuses_is_no_outage() -> None:
    told = Database("postgresql://db/eat").translate(psycopg.DataError("cannot contain NUL"))
    assert type(told) is EatError


def test_a_damaged_file_says_what_to_do(store: Store, run: Run, url: str) -> None:
    store.runs.add_documents(run.id, [Document("x" * 2000, "de", ext_id=str(number)) for number in range(50)])
    store.close()
    file = sqlite_file(url)
    assert file is not None
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    # As away, not as a document's fault: SQLite says the same when the disk fails to read.
    with pytest.raises(StoreUnavailable, match=r"\(database disk image is malformed\): .* put a backup in its place"):
        store.runs.list_runs()


def test_a_file_that_cannot_be_opened_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"unable to open database file; it must be there, in a folder"):
        open_database(f"sqlite:///{tmp_path}/absent/eat.db")


def open_database(url: str) -> None:
    with Database(url).read():
        pass
