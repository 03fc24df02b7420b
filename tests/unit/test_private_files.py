"""Folders and files of eat's own are closed to everybody else, whatever the umask."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.private_files import make_private_file, make_private_folder, private


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.usefixtures("open_umask")
def test_every_missing_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "a" / "b")
    make_private_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)


@pytest.mark.usefixtures("open_umask")
def test_a_folder_of_the_users_own_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    make_private_folder(tmp_path / "mine")
    assert mode(tmp_path / "mine") == 0o755


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"the folder .*/file/below cannot be made: Not a directory"):
        make_private_folder(tmp_path / "file" / "below")
    with pytest.raises(ConfigurationError, match=r"/file is a file, and a folder is needed there"):
        make_private_folder(tmp_path / "file")


@pytest.mark.usefixtures("open_umask")
def test_an_empty_file_is_made_once(tmp_path: Path) -> None:
    for _ in range(2):
        make_private_file(tmp_path / "file")
    assert mode(tmp_path / "file") == 0o600
    with pytest.raises(ConfigurationError, match=r"/absent/file cannot be made: No such file or directory"):
        make_private_file(tmp_path / "absent" / "file")


@pytest.mark.usefixtures("open_umask")
def test_a_new_file_is_private_and_an_old_one_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "old").touch(mode=0o644)
    for name in ("new", "old"):
        with open(tmp_path / name, "ab", opener=private):
            pass
    assert (mode(tmp_path / "new"), mode(tmp_path / "old")) == (0o600, 0o644)


@pytest.mark.usefixtures("open_umask")
def test_whatever_a_run_leaves_in_the_state_folder_is_private(eat: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text('{"text": "Anna kam", "lang": "de"}\n{\n')
    assert eat("run", "c.jsonl", "--engine", "scripted", "--broker", "none").code == 3
    assert eat("db", "backup").code == 0
    found = {path.relative_to(tmp_path): mode(path) for path in (tmp_path / ".eat", *(tmp_path / ".eat").rglob("*"))}
    assert {path: f"{rights:o}" for path, rights in found.items() if rights not in (0o700, 0o600)} == {}
    assert len(found) >= 7  # the folder, the database, its copy, logs and quarantine with a file each


@pytest.mark.usefixtures("open_umask")
def test_what_is_open_beside_the_database_is_private_too(eat: Callable[..., Any], tmp_path: Path) -> None:
    from eat_worker.storage.store import open_store

    (tmp_path / "mine").mkdir(mode=0o755)
    with open_store(f"sqlite:///{tmp_path}/mine/eat.db", create=True) as store:
        store.runs.list_runs()
        names = {path.name: f"{mode(path):o}" for path in (tmp_path / "mine").iterdir()}
    assert names == {"eat.db": "600", "eat.db-wal": "600", "eat.db-shm": "600"}
    assert mode(tmp_path / "mine") == 0o755
