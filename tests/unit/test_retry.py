import random
import threading

import pytest

from eat_worker.errors import EngineBroken, EngineUnavailable, StoreUnavailable, TooLong
from eat_worker.retry import Backoff, retry


class Longest:
    """Chance that always takes the longest pause."""

    def __init__(self):
        self.asked = []

    def uniform(self, a, b, /):
        self.asked.append((a, b))
        return b


class Never(threading.Event):
    """An event that is not waited for; `waited` lists the seconds that were asked for."""

    def __init__(self):
        super().__init__()
        self.waited = []

    def wait(self, timeout=None):
        self.waited.append(timeout)
        return False


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 2.0), (2, 4.0), (3, 8.0), (8, 256.0), (9, 300.0), (10, 300.0), (5000, 300.0)]
)
def test_a_pause_is_twice_as_long_each_time_up_to_the_longest(failures, seconds):
    assert Backoff(2.0, 300.0).pause(failures, Longest()) == seconds


@pytest.mark.parametrize(("steady", "least"), [(0.0, 0.0), (0.5, 4.0), (1.0, 8.0)])
def test_chance_shortens_what_is_not_steady(steady, least):
    chance = Longest()
    Backoff(2.0, 300.0, steady).pause(3, chance)
    assert chance.asked == [(least, 8.0)]


def test_the_pause_is_full_jitter_of_the_source_that_is_given():
    assert [round(Backoff(2.0, 300.0).pause(3, random.Random(seed)), 4) for seed in (1, 1, 2)] == [
        1.0749,
        1.0749,
        7.6483,
    ]


def test_whoever_holds_a_document_asks_at_least_every_ten_seconds():
    stop, errors = Never(), [StoreUnavailable("away")] * 7

    def call():
        if errors:
            raise errors.pop()
        return "here"

    assert retry(call, stop, chance=Longest()) == "here"
    assert stop.waited == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_an_engine_that_broke_is_not_asked_again():
    tries = []

    def call():
        tries.append(1)
        raise EngineBroken("illegal address")

    with pytest.raises(EngineBroken):
        retry(call, threading.Event())
    assert len(tries) == 1


def test_a_retryable_error_is_waited_out():
    errors = [StoreUnavailable("away"), EngineUnavailable("away")]

    def call():
        if errors:
            raise errors.pop()
        return "here"

    assert retry(call, Never()) == "here"


def too_long():
    raise TooLong("x")


def test_an_error_that_no_retry_can_mend_is_raised_at_once():
    with pytest.raises(TooLong):
        retry(too_long, threading.Event())


def test_after_stop_there_is_one_more_try():
    stop, tries = threading.Event(), []

    def call():
        tries.append(1)
        stop.set()
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        retry(call, stop)
    assert len(tries) == 2
