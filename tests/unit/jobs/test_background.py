"""A thread that lasts as long as its block, whatever its steps do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from eat_worker.jobs.background import Background


class Steps(Background):
    """Calls `step`, which gives the next pause; `began` is set when the first call begins."""

    def __init__(self, step: Callable[[], float], every: float = 60.0, **options: object) -> None:
        super().__init__("eat-steps", every, **options)  # type: ignore[arg-type]  # those of Background
        self.began = threading.Event()
        self._do = step

    def _step(self) -> float:
        self.began.set()
        return self._do()


def test_leaving_waits_for_the_step_under_way() -> None:
    done = []

    def step() -> float:
        time.sleep(0.2)
        done.append(1)
        return 60.0

    with Steps(step, at_once=True) as steps:
        assert steps.began.wait(5)
        assert steps.is_alive()
    assert (done, steps.is_alive()) == ([1], False)


def test_a_step_that_hangs_is_waited_for_only_so_long() -> None:
    let_go = threading.Event()

    def step() -> float:
        let_go.wait(10)
        return 60.0

    with Steps(step, at_once=True, join_timeout=0.05) as steps:
        assert steps.began.wait(5)
    assert steps.is_alive()
    let_go.set()


def test_the_first_step_comes_after_a_pause_or_at_once_and_a_nudge_brings_the_next() -> None:
    times = threading.Semaphore(0)

    def step() -> float:
        times.release()
        return 60.0

    with Steps(step) as waiting:
        assert not waiting.began.wait(0.05)
        waiting.nudge()
        assert times.acquire(timeout=5)
        waiting.nudge()
        assert times.acquire(timeout=5)
    assert not times.acquire(blocking=False)


def test_a_step_names_the_pause_before_the_next() -> None:
    pauses = [0.0, 0.0, 60.0]
    third = threading.Event()

    def step() -> float:
        if len(pauses) == 1:
            third.set()
        return pauses.pop(0)

    with Steps(step, at_once=True):
        assert third.wait(5)


def test_a_step_that_fails_is_logged_and_the_next_comes_as_usual(caplog: pytest.LogCaptureFixture) -> None:
    faults = [ZeroDivisionError("ours")]
    again = threading.Event()

    def step() -> float:
        if faults:
            raise faults.pop()
        again.set()
        return 60.0

    with Steps(step, every=0.001):
        assert again.wait(5)
    assert "the thread eat-steps failed; it continues" in caplog.text
    assert "ZeroDivisionError: ours" in caplog.text


def test_a_step_may_be_the_last() -> None:
    class Once(Background):
        def __init__(self) -> None:
            super().__init__("eat-once", 0.0)
            self.steps = 0

        def _step(self) -> float:
            self.steps += 1
            self._end()
            return 0.0

    with Once() as once:
        once._thread.join(5)
        assert (once.is_alive(), once.steps) == (False, 1)
