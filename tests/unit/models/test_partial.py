"""A file that is still coming in."""

import errno
import threading
from pathlib import Path

import pytest

from eat_worker.errors import ModelError
from eat_worker.models.partial import Mismatch, Partial, SourceFailed, disk_faults, locked, receive, require_room

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
AB = "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"


def test_the_digest_covers_what_was_there_and_what_came(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"ab")
    with Partial(path, 3) as partial:
        assert (partial.size, partial.sha256(), partial.complete()) == (2, AB, False)
        partial.append(b"c")
        assert (partial.size, partial.sha256(), partial.complete()) == (3, ABC, True)


def test_leaving_keeps_what_arrived(tmp_path: Path) -> None:
    path = tmp_path / "x"

    def interrupted() -> None:
        with Partial(path, 3) as partial:
            partial.append(b"ab")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"ab"


def test_cutting_forgets_the_tail(tmp_path: Path) -> None:
    with Partial(tmp_path / "x", 3) as partial:
        partial.append(b"abX")
        partial.cut(2)
        partial.append(b"c")
        assert partial.sha256() == ABC


def test_more_than_the_file_holds_is_not_taken(tmp_path: Path) -> None:
    with Partial(tmp_path / "x", 3) as partial:
        with pytest.raises(SourceFailed, match="more than the 3 bytes"):
            partial.append(b"abcd")
        assert partial.size == 0


def test_a_leftover_that_is_too_long_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abcd")
    with Partial(path, 3) as partial:
        assert partial.size == 0


def test_a_right_file_gets_its_name(tmp_path: Path) -> None:
    receive(tmp_path / "p", tmp_path / "final", total=3, expected=ABC, fill=lambda partial: partial.append(b"abc"))
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
    assert (tmp_path / "final").read_bytes() == b"abc"


def test_an_empty_file_can_be_right(tmp_path: Path) -> None:
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    receive(tmp_path / "p", tmp_path / "final", total=0, expected=nothing, fill=lambda partial: None)
    assert (tmp_path / "final").read_bytes() == b""


def test_a_wrong_file_is_named_and_gone(tmp_path: Path) -> None:
    (tmp_path / "final").write_bytes(b"old")
    with pytest.raises(Mismatch) as caught:
        receive(tmp_path / "p", tmp_path / "final", total=None, expected="0" * 64, fill=lambda p: p.append(b"abc"))
    assert caught.value.got == ABC
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
    assert (tmp_path / "final").read_bytes() == b"old"


def test_a_wrong_leftover_is_fetched_anew_once(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b"XX")
    receive(tmp_path / "p", tmp_path / "final", total=3, expected=ABC, fill=lambda p: p.append(b"abc"[p.size :]))
    assert (tmp_path / "final").read_bytes() == b"abc"


def test_a_source_that_gives_nothing_leaves_nothing(tmp_path: Path) -> None:
    def fail(partial: Partial) -> None:
        raise SourceFailed("no")

    with pytest.raises(SourceFailed):
        receive(tmp_path / "p", tmp_path / "final", total=3, expected=ABC, fill=fail)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_lets_one_in_and_tells_the_other_to_wait(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    waits, inside, order = threading.Event(), threading.Event(), []

    def second() -> None:
        inside.wait(10)
        with locked(lock, waits.set):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with locked(lock, lambda: order.append("first waited")):
        inside.set()
        assert waits.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_disk_that_is_too_small_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"big needs 1,000,000,000,000 MB more and the disk has [\d,]+ MB free"):
        require_room(tmp_path, 10**18, "big")


def test_a_disk_that_fills_up_says_that_the_pull_goes_on(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the disk is full; free space and pull again"), disk_faults(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"/nowhere: Permission denied"), disk_faults(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied", "/nowhere")
