"""Connections that do not answer in time are ended, and no other."""

from __future__ import annotations

import socket
import threading
import time

from eat_worker.storage import deadlines
from eat_worker.storage.deadlines import Deadlines


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_connection_past_its_time_is_ended_and_a_later_one_is_not() -> None:
    clock = Clock()
    limit = Deadlines(20, clock)
    slow, far_slow = socket.socketpair()
    quick, far_quick = socket.socketpair()
    with slow, far_slow, quick, far_quick:
        with limit.watching(slow.fileno()):
            clock.now = 115
            with limit.watching(quick.fileno()):
                assert limit.end_overdue() == 0
                clock.now = 121
                assert limit.end_overdue() == 1
                assert limit.end_overdue() == 0
        assert slow.recv(1) == b""
        assert far_slow.recv(1) == b""
        quick.send(b"x")
        assert far_quick.recv(1) == b"x"


def test_a_connection_whose_work_is_done_is_left_alone() -> None:
    clock = Clock()
    limit = Deadlines(20, clock)
    near, far = socket.socketpair()
    with near, far:
        with limit.watching(near.fileno()):
            pass
        clock.now = 1000
        assert limit.end_overdue() == 0
        near.send(b"x")
        assert far.recv(1) == b"x"


def test_a_descriptor_that_is_gone_harms_nobody() -> None:
    clock = Clock()
    limit = Deadlines(20, clock)
    near, far = socket.socketpair()
    with limit.watching(near.fileno()):
        near.close()
        far.close()
        clock.now = 1000
        assert limit.end_overdue() == 1


def test_whoever_waits_is_woken_without_being_asked(monkeypatch) -> None:
    monkeypatch.setattr(deadlines, "LOOK_SECONDS", 0.01)
    limit = Deadlines(0.05)
    near, far = socket.socketpair()
    answers: list[bytes] = []

    def wait() -> None:
        with limit.watching(near.fileno()):
            answers.append(near.recv(1))

    began = time.monotonic()
    with near, far:
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(5)
    assert answers == [b""]
    assert 0.05 <= time.monotonic() - began < 2


def test_the_end_of_one_use_leaves_another_of_the_same_number_watched() -> None:
    clock = Clock()
    limit = Deadlines(20, clock)
    near, far = socket.socketpair()
    first, second = limit.watching(near.fileno()), limit.watching(near.fileno())
    with near, far:
        first.__enter__()
        clock.now = 110
        second.__enter__()
        first.__exit__(None, None, None)
        clock.now = 131
        assert limit.end_overdue() == 1
        assert far.recv(1) == b""
        second.__exit__(None, None, None)
