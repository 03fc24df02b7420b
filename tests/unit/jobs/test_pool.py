import threading

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.jobs.pool import Pool


def test_it_works_through_everything_and_stops_when_told(desk):
    desk.add_run(documents=5)

    class Watched:
        """The advancer, telling when there was nothing left."""

        inner = desk.advancer()

        def take_next(self):
            found = self.inner.take_next()
            if not found:
                desk.stop.set()
            return found

    Pool(Watched(), 1, desk.stop).run()
    assert [desk.status(number) for number in range(1, 6)] == ["done"] * 5


def test_it_waits_for_new_documents(desk):
    pool = threading.Thread(target=Pool(desk.advancer(), 2, desk.stop).run)
    pool.start()
    desk.add_run(documents=3)
    waited = threading.Event()
    for _ in range(100):
        if desk.store.reading.count_unfinished([1]) == 0:
            break
        waited.wait(0.05)
    desk.stop.set()
    pool.join(5)
    assert not pool.is_alive()
    assert desk.store.reading.count_unfinished([1]) == 0


def test_the_error_of_one_thread_ends_all(desk, monkeypatch):
    def claim_next(*_):
        raise ConfigurationError("no such table")

    monkeypatch.setattr(desk.store.queue, "claim_next", claim_next)
    with pytest.raises(ConfigurationError, match="no such table"):
        Pool(desk.advancer(), 2, desk.stop).run()
    assert desk.stop.is_set()
