import pytest

from eat_worker.errors import StoreUnavailable
from eat_worker.jobs.document.round_log import RoundLog
from eat_worker.method.document import RoundOutput, Stage


def output(number):
    return RoundOutput(Stage.FORWARD, -1, number, "p", {}, "said")


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_a_round_that_took_model_time_is_written_at_once():
    written, clock = [], Clock()
    rounds = RoundLog(written.append, clock)
    clock.now = 0.05
    rounds.record(output(1))
    clock.now = 2.05
    rounds.record(output(2))
    assert written == [[output(1)], [output(2)]]
    assert rounds.waiting == []


def test_rounds_that_follow_at_once_are_written_together():
    written, clock = [], Clock()
    rounds = RoundLog(written.append, clock)
    clock.now = 0.02
    rounds.record(output(1))
    clock.now = 0.04
    rounds.record(output(2))
    assert (written, rounds.waiting) == ([], [output(1), output(2)])
    clock.now = 0.06
    rounds.record(output(3))
    assert written == [[output(1), output(2), output(3)]]


def test_rounds_that_could_not_be_written_keep_waiting():
    clock, down = Clock(), [True]

    def write(waiting):
        if down:
            raise StoreUnavailable("away")

    rounds = RoundLog(write, clock)
    clock.now = 1.0
    with pytest.raises(StoreUnavailable):
        rounds.record(output(1))
    assert rounds.waiting == [output(1)]
    down.clear()
    rounds.flush()
    assert rounds.waiting == []


def test_the_state_of_the_run_is_that_of_the_last_write():
    states, clock = ["paused", "open"], Clock()
    rounds = RoundLog(lambda _: states.pop(), clock)
    assert rounds.run_state == "open"
    for number, expected in ((1, "open"), (2, "paused")):
        clock.now += 1.0
        rounds.record(output(number))
        assert rounds.run_state == expected
