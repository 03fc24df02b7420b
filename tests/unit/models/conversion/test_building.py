"""What is written appears at once and whole, or not at all."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from eat_worker.errors import ConfigurationError, ModelError
from eat_worker.models.conversion.building import building
from eat_worker.models.partial import silent


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with building(tmp_path / "deep" / "new", silent) as folder:
        folder.mkdir()
        (folder / "file").write_text("abc")
        assert not (tmp_path / "deep" / "new").exists()
    assert (tmp_path / "deep" / "new" / "file").read_text() == "abc"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["new"]


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with building(tmp_path / "new", silent) as file:
        file.write_text("abc")
    assert (tmp_path / "new").read_text() == "abc"


def test_a_fault_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with building(tmp_path / "new", silent) as folder:
            folder.mkdir()
            (folder / "file").write_text("abc")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".new.partial").mkdir()
    (tmp_path / ".new.partial" / "half").write_text("ab")
    with building(tmp_path / "new", silent) as folder:
        folder.mkdir()
        (folder / "file").write_text("abc")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("folder", [True, False])
def test_what_is_there_is_never_replaced(tmp_path: Path, folder: bool) -> None:
    new = tmp_path / "new"
    new.mkdir() if folder else new.write_text("abc")
    with (
        pytest.raises(ConfigurationError, match=r"new exists already; remove it, or name another place"),
        building(new, silent),
    ):
        pytest.fail("nothing may be written")
    assert new.exists()


def test_a_disk_that_refuses_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"Not a directory|File exists"), building(tmp_path / "file" / "new", silent):
        pytest.fail("nothing may be written")


def test_a_second_writer_waits_and_then_finds_it_there(tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    told: list[str] = []

    def first_writer_ends(done: int, total: int, what: str) -> None:
        told.append(what)
        (tmp_path / "new").write_text("theirs")
        threading.Timer(0.05, os.close, [handle]).start()

    with (
        pytest.raises(ConfigurationError, match="exists already"),
        building(tmp_path / "new", first_writer_ends),
    ):
        pytest.fail("nothing may be written")
    assert told == [f"waiting: {tmp_path} is being written to"]
    assert (tmp_path / "new").read_text() == "theirs"
