import random
import time

import pytest

from eat_worker.errors import BrokerUnavailable, StoreUnavailable
from eat_worker.jobs.broker import dispatcher as dispatcher_module
from eat_worker.jobs.broker.dispatcher import Dispatcher
from eat_worker.method.document import Stage
from eat_worker.retry import Backoff
from eat_worker.storage.values import Hint


class Broker:
    """Queues in memory, for the dispatcher's decisions; real ones are used in the integration tests."""

    def __init__(self):
        self.sent: list[Hint] = []
        self.lying: dict[str, int] = {}
        self.down = False

    def publish(self, hints):
        self._answer()
        self.sent += hints

    def waiting(self, queue):
        self._answer()
        return self.lying.get(queue, 0)

    def _answer(self):
        if self.down:
            raise BrokerUnavailable("away")


@pytest.fixture
def broker():
    return Broker()


def dispatcher(desk, broker, **options):
    return Dispatcher(desk.store, broker, **{"queues": ["chat.a"], "window": 4, **options})


def ids(broker):
    return [hint.document_id for hint in broker.sent]


def age_hints(desk, seconds):
    desk.sql("UPDATE documents SET hinted_at = hinted_at - :seconds", seconds=seconds)


def test_no_more_hints_are_out_than_the_window_holds(desk, broker):
    desk.add_run(documents=10)
    one = dispatcher(desk, broker)
    assert (one.cycle(), one.cycle()) == (4, 0)
    assert ids(broker) == [1, 2, 3, 4]


def test_a_place_in_the_window_is_filled_when_a_document_is_taken(desk, broker):
    desk.add_run(documents=10)
    one = dispatcher(desk, broker)
    one.cycle()
    desk.store.queue.claim(2, Stage.FORWARD, "w1", 60)
    assert one.cycle() == 1
    assert ids(broker) == [1, 2, 3, 4, 5]


def test_a_hint_names_document_stage_attempt_and_queue(desk, broker):
    desk.add_run()
    dispatcher(desk, broker).cycle()
    assert broker.sent == [Hint(1, Stage.FORWARD, 0, "chat.a")]


def test_two_dispatchers_send_each_hint_once(desk, broker):
    desk.add_run(documents=3)
    assert dispatcher(desk, broker).cycle() + dispatcher(desk, broker).cycle() == 3
    assert sorted(ids(broker)) == [1, 2, 3]


def test_a_hint_lost_from_an_empty_queue_is_sent_again_soon(desk, broker):
    desk.add_run(documents=2)
    one = dispatcher(desk, broker)
    one.cycle()
    age_hints(desk, 3)
    assert one.cycle() == 2
    assert ids(broker) == [1, 2, 1, 2]


def test_a_hint_that_waits_its_turn_is_not_sent_again(desk, broker):
    desk.add_run(documents=2)
    one = dispatcher(desk, broker)
    one.cycle()
    broker.lying["chat.a"] = 2
    age_hints(desk, 300)
    assert one.cycle() == 0
    age_hints(desk, 400)
    assert one.cycle() == 2


def test_an_expired_lease_is_sent_again(desk, broker):
    desk.add_run()
    desk.store.queue.claim(1, Stage.FORWARD, "w1", 60)
    desk.sql("UPDATE documents SET lease_until = 1")
    assert dispatcher(desk, broker).cycle() == 1


def test_a_queue_that_nobody_serves_does_not_grow(desk, broker):
    desk.add_run(documents=4, queue="chat.b")
    one = dispatcher(desk, broker)
    broker.lying["chat.b"] = 3
    assert one.cycle() == 1
    age_hints(desk, 3)
    broker.lying["chat.b"] = 4
    assert one.cycle() == 0


def test_with_a_broker_that_is_away_no_hint_is_taken(desk, broker):
    desk.add_run()
    broker.down = True
    with pytest.raises(BrokerUnavailable):
        dispatcher(desk, broker).cycle()
    assert desk.sql("SELECT hinted_at FROM documents") == [(None,)]


def test_pauses_grow_while_the_broker_is_away_and_while_nothing_is_ready(desk, broker, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    one = dispatcher(desk, broker)
    broker.down = True
    assert [one._step() for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    broker.down = False
    assert [one._step() for _ in range(4)] == [0.4, 0.8, 1.0, 1.0]
    desk.add_run()
    assert [one._step(), one._step()] == [0.2, 0.4]
    broker.down = True
    assert one._step() == 0.5


def eventually(condition):
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_the_thread_revives_the_broker_and_goes_on(desk, broker, monkeypatch, caplog):
    monkeypatch.setattr(dispatcher_module, "RETRY", Backoff(0.01, 15.0))
    desk.add_run()
    broker.down = True
    calls = []

    def revive():
        calls.append(1)
        if len(calls) == 1:
            raise BrokerUnavailable("still starting")
        broker.down = False

    with dispatcher(desk, broker, revive=revive):
        eventually(lambda: ids(broker) == [1])
    assert "hints could not be sent: away" in caplog.text
    assert "still starting" in caplog.text


def test_the_thread_outlives_a_fault_of_its_own(desk, broker, monkeypatch, caplog):
    monkeypatch.setattr(dispatcher_module, "RETRY", Backoff(0.01, 15.0))
    desk.add_run()
    errors = [ZeroDivisionError("ours"), StoreUnavailable("away")]
    real = desk.store.queue.take_hints

    def take_hints(*args, **keywords):
        if errors:
            raise errors.pop()
        return real(*args, **keywords)

    monkeypatch.setattr(desk.store.queue, "take_hints", take_hints)
    with dispatcher(desk, broker):
        eventually(lambda: ids(broker) == [1])
    assert "the thread eat-dispatcher failed; it continues" in caplog.text


def test_a_nudge_is_heard_at_once(desk, broker, monkeypatch):
    monkeypatch.setattr(dispatcher_module, "IDLE", Backoff(60.0, 60.0, steady=1.0))
    with dispatcher(desk, broker) as one:
        eventually(lambda: one._empty == 1)
        desk.add_run()
        one.nudge()
        eventually(lambda: ids(broker) == [1])
