"""Where the migrations are, and copies of an SQLite file. Upgrades themselves: tests/integration/test_migrations.py."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from eat_worker.errors import ConfigurationError, DiskFull, EatError, SchemaError
from eat_worker.method.document import Document
from eat_worker.storage import schema
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.values import Run


def test_migrations_inside_the_package_come_before_those_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "__file__", str(tmp_path / "eat_worker" / "storage" / "schema.py"))
    with pytest.raises(SchemaError, match=r"the migrations are missing from .*eat_worker; install eat_worker again"):
        schema.migrations()
    for folder in (tmp_path / "migrations", tmp_path / "eat_worker" / "migrations"):
        folder.mkdir(parents=True)
        (folder / "env.py").touch()
        assert schema.migrations() == folder


def test_a_copy_holds_everything_while_the_store_is_in_use(store: Store, run: Run, url: str, tmp_path: Path) -> None:
    store.runs.add_documents(run.id, [Document("서울", "ko")])
    copy = schema.backup(url, tmp_path / "copy.db")
    store.runs.add_documents(run.id, [Document("부산", "ko")])
    with open_store(f"sqlite:///{copy}") as copied:
        assert copied.reading.count_unfinished([run.id]) == 1


def test_a_copy_replaces_no_file(store: Store, url: str, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match=r"copy\.db exists already"):
        schema.backup(url, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_bytes() == b"mine"


def test_only_sqlite_is_copied() -> None:
    with pytest.raises(ConfigurationError, match="for PostgreSQL use pg_dump"):
        schema.backup("postgresql://db/eat", Path("/tmp/copy.db"))


def test_nothing_cannot_be_copied(url: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="there is no eat database"):
        schema.backup(url, tmp_path / "copy.db")
    assert not (tmp_path / "state").exists()


def test_a_copy_without_room_is_not_begun(
    store: Store, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=10))
    with pytest.raises(DiskFull, match="has 10 bytes left"):
        schema.backup(url, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_copy_needs_as_much_room_as_the_file_has(
    store: Store, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    size = (tmp_path / "state" / "eat.db").stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=size))
    assert schema.backup(url, tmp_path / "copy.db").exists()


def test_an_upgrade_copies_nothing_where_nothing_changes(store: Store, url: str, tmp_path: Path) -> None:
    done = schema.upgrade(url)
    assert (done.before, done.after, done.backup) == (schema.HEAD, schema.HEAD, None)
    assert not list((tmp_path / "state").glob("*.bak"))


def test_an_upgrade_copies_nothing_where_nothing_was(url: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "eat.db").touch()
    done = schema.upgrade(url)
    assert (done.before, done.after, done.backup) == (None, schema.HEAD, None)
    assert not list((tmp_path / "state").glob("*.bak"))


def test_a_copy_into_a_missing_folder_is_a_clear_error(store: Store, url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no folder"):
        schema.backup(url, tmp_path / "absent" / "copy.db")


def test_a_copy_of_a_damaged_file_is_an_error_and_leaves_nothing(
    store: Store, run: Run, url: str, tmp_path: Path
) -> None:
    store.runs.add_documents(run.id, [Document(f"서울 {'x' * 3000} {number}", "ko") for number in range(200)])
    store.close()
    file = tmp_path / "state" / "eat.db"
    with file.open("r+b") as damaged:
        damaged.seek(file.stat().st_size // 2)
        damaged.write(b"\xff" * 40_000)
    with pytest.raises(EatError, match="malformed"):
        schema.backup(url, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
