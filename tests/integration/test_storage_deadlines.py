"""A PostgreSQL that does not answer: whoever waits gets an error in time, and locks of the silent are let go."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from eat_worker.errors import StoreUnavailable
from eat_worker.storage import deadlines
from eat_worker.storage.engine import Database

SLEEP = text("SELECT pg_sleep(30)")
LOCK = text("SELECT pg_advisory_xact_lock(7)")


@pytest.fixture
def database(shared: str) -> Iterator[Database]:
    """A database whose transactions may take half a second."""
    opened = Database(shared, answer_within=0.5)
    yield opened
    opened.close()


def test_a_statement_that_does_not_come_back_ends_as_an_outage(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "LOOK_SECONDS", 0.05)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="does not answer"), database.write() as transaction:
        transaction.rows(SLEEP)
    assert time.monotonic() - began < 5
    assert database.seconds_since_failure() < 5
    with database.read() as transaction:
        assert transaction.rows(text("SELECT 1")) == [(1,)]


def test_a_process_that_hangs_in_a_transaction_keeps_no_lock(
    database: Database, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "LOOK_SECONDS", 60)  # as of a process that does nothing at all
    other = Database(shared)
    with pytest.raises(StoreUnavailable, match="idle-in-transaction"):
        _hang_until_another_has_the_lock(database, other)
    other.close()


def _hang_until_another_has_the_lock(database: Database, other: Database) -> None:
    with database.write() as transaction:
        transaction.rows(LOCK)
        began = time.monotonic()
        with other.write() as waiting:
            waiting.rows(LOCK)
        assert time.monotonic() - began < 5
        transaction.rows(LOCK)


def test_commands_wait_as_long_as_it_takes(shared: str) -> None:
    patient = Database(shared)
    try:
        with patient.read() as transaction:
            assert transaction.rows(text("SELECT pg_sleep(0.7) IS NULL")) == [(False,)]
    finally:
        patient.close()
