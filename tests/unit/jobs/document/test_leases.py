import time

import pytest

from eat_worker.errors import ConfigurationError, EngineBroken, LeaseLost, StoreUnavailable
from eat_worker.jobs.document.leases import Draining, Heartbeat, HeldLeases
from eat_worker.jobs.processes import this_process
from eat_worker.method.document import Stage
from eat_worker.storage.values import WorkerSpec


def claim(desk, document_id=1):
    found = desk.store.queue.claim(document_id, Stage.FORWARD, "w1", 60)
    assert found is not None
    return found


def lease_until(desk):
    return desk.sql("SELECT lease_until FROM documents WHERE id = 1")[0][0]


def test_a_beat_extends_what_is_held_and_nothing_else(desk):
    desk.add_run(documents=2)
    one = claim(desk)
    claim(desk, 2)
    desk.sql("UPDATE documents SET lease_until = 5")
    with desk.leases.holding(one):
        desk.leases.beat()
    assert [row[0] > 5 for row in desk.sql("SELECT lease_until FROM documents ORDER BY id")] == [True, False]


def test_a_beat_with_empty_hands_asks_nothing(desk, monkeypatch):
    monkeypatch.setattr(desk.store.queue, "heartbeat", None)
    desk.leases.beat()


def test_a_beat_says_that_the_worker_lives_with_empty_hands_too(desk):
    row = desk.store.queue.add_worker(WorkerSpec("w1", this_process(), ["chat.a"], ["a"], "0.7"))
    other = desk.store.queue.add_worker(WorkerSpec("w1", this_process(), ["chat.a"], ["a"], "0.7"))
    desk.sql("UPDATE workers SET last_heartbeat = 5")
    HeldLeases(desk.store, "w1", 60.0, desk.stop, row).beat()
    beats = dict(desk.sql("SELECT id, last_heartbeat FROM workers"))
    assert (beats[row] > 5, beats[other]) == (True, 5)


def test_a_holder_goes_on_until_it_is_told_to_stop(desk):
    desk.add_run()
    with desk.leases.holding(one := claim(desk)):
        desk.leases.may_continue(one)
        desk.stop.set()
        with pytest.raises(Draining):
            desk.leases.may_continue(one)


def test_a_cancelled_document_stops_its_holder(desk):
    desk.add_run()
    with desk.leases.holding(one := claim(desk)):
        desk.sql("UPDATE documents SET status = 'cancelled'")
        desk.leases.beat()
        with pytest.raises(LeaseLost, match="document 1 is no longer leased to w1"):
            desk.leases.may_continue(one)


def test_a_lost_lease_is_forgotten_with_its_claim(desk):
    desk.add_run()
    with desk.leases.holding(one := claim(desk)):
        desk.sql("UPDATE documents SET lease_owner = 'w2'")
        desk.leases.beat()
    with desk.leases.holding(one):
        desk.leases.may_continue(one)


def test_a_document_that_is_claimed_here_again_is_no_longer_its_first_holders(desk):
    """A process that slept past its lease: one thread still works under the old claim, another has the new one."""
    desk.add_run()
    with desk.leases.holding(claim(desk)):
        desk.sql("UPDATE documents SET lease_until = 1")
        desk.store.queue.take_hints(0, window=0, stale_after=60)
        second = claim(desk)
        holding = desk.leases.holding(second)
        holding.__enter__()
    desk.sql("UPDATE documents SET lease_until = 5")
    desk.leases.beat()
    assert lease_until(desk) > 5
    desk.sql("UPDATE documents SET lease_owner = 'w2'")
    desk.leases.beat()
    with pytest.raises(LeaseLost):
        desk.leases.may_continue(second)
    holding.__exit__(None, None, None)


def test_everything_held_can_be_given_back_at_once(desk):
    desk.add_run()
    with desk.leases.holding(claim(desk)):
        desk.leases.release_all()
        assert desk.attempts() == [("forward", "released")]
        assert desk.status() == "queued"


def test_what_is_held_counts_an_engine_that_broke_and_no_other_error(desk):
    desk.add_run(documents=2)
    with desk.leases.holding(claim(desk)), desk.leases.holding(two := claim(desk, 2)):
        desk.sql("UPDATE documents SET attempt = attempt + 1 WHERE id = 2")  # somebody else has it
        desk.leases.release_all(EngineBroken("no answer for 600 s"))
        assert desk.sql("SELECT status, breaks FROM documents ORDER BY id") == [("queued", 1), ("running", 0)]
        assert desk.sql("SELECT outcome, error FROM attempts WHERE document_id = 1") == [
            ("engine_broken", "no answer for 600 s")
        ]
        desk.sql("UPDATE documents SET attempt = :attempt WHERE id = 2", attempt=two.attempt)
        desk.leases.release_all(ConfigurationError("the key"))
        assert desk.sql("SELECT status, breaks FROM documents ORDER BY id") == [("queued", 1), ("queued", 0)]


def test_the_heartbeat_outlives_errors(desk, monkeypatch, caplog):
    desk.add_run()
    real, errors = desk.store.queue.heartbeat, [StoreUnavailable("away"), ZeroDivisionError("ours")]

    def heartbeat(*args):
        if errors:
            raise errors.pop()
        return real(*args)

    monkeypatch.setattr(desk.store.queue, "heartbeat", heartbeat)
    held = HeldLeases(desk.store, "w1", 0.06, desk.stop)
    one = claim(desk)
    desk.sql("UPDATE documents SET lease_until = 5")
    with held.holding(one), Heartbeat(held):
        deadline = time.monotonic() + 5
        while lease_until(desk) == 5 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert lease_until(desk) > 5
    assert "leases could not be extended: away" in caplog.text
    assert "ZeroDivisionError" in caplog.text
