"""One worker in this process, without a broker: what it says when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from eat_worker import __version__
from eat_worker.errors import ConfigurationError, StoreUnavailable
from eat_worker.jobs.local import free_the_dead
from eat_worker.jobs.processes import this_process
from eat_worker.jobs.shutdown import PARENT_VARIABLE
from eat_worker.jobs.worker import RESUME, Pool, serve
from eat_worker.runs.submitting import submit
from eat_worker.settings import Settings, load_settings
from eat_worker.storage.queue import Queue
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.values import WorkerRecord


@pytest.fixture
def queued(tmp_path: Path) -> Settings:
    """Two documents, one of which takes half a second per round."""
    (tmp_path / "script.jsonl").write_text('{"fault": "sleep", "text": "langsam", "seconds": 0.5}\n')
    texts = ("Anna kam", "Sie ging langsam")
    (tmp_path / "c.jsonl").write_text("".join(json.dumps({"text": text, "lang": "de"}) + "\n" for text in texts))
    given = {"engine": "scripted", "script": str(tmp_path / "script.jsonl"), "broker_url": "none"}
    settings = load_settings(given, directory=tmp_path, environ={"HOME": str(tmp_path)})
    submit(settings, tmp_path / "c.jsonl")
    return settings


def stopped_when(settings: Settings, documents: int) -> int:
    """Serve, and send this process SIGTERM as soon as so many documents are done."""
    told: list[bool] = []

    def until(store: Store) -> bool:
        (status,) = store.reading.run_status()
        if status.documents["done"] >= documents and not told:
            told.append(True)
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM)).start()
        return False

    return serve(settings, until=until)


def test_a_user_who_stops_it_early_is_told_how_to_go_on(queued: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert stopped_when(queued, 1) == 0
    assert capsys.readouterr().err == f"{RESUME}\n"
    with open_store(queued.database) as store:
        assert store.reading.count_unfinished([1]) == 1


def test_a_worker_has_a_row_that_says_when_it_ended(queued: Settings) -> None:
    seen: list[WorkerRecord] = []

    def until(store: Store) -> bool:
        seen.extend(store.reading.workers())
        return True

    assert serve(queued, name="w1", until=until) == 0
    with open_store(queued.database) as store:
        (ended,) = store.reading.workers()
    assert (seen[0].spec, seen[0].ended_at) == (ended.spec, None)
    assert (ended.spec.name, ended.spec.process, ended.spec.version) == ("w1", this_process(), __version__)
    assert {f"chat.{fingerprint}" for fingerprint in ended.spec.fingerprints} == set(ended.spec.queues)
    assert ended.ended_at is not None
    assert ended.ended_at >= ended.started_at


def test_a_worker_that_is_named_like_a_dead_process_keeps_what_it_holds(queued: Settings) -> None:
    """Every poll does what `eat run` does beside it on the same database."""
    name, holders = f"{socket.gethostname()}-{2**22 + 1}", set[str]()

    def until(store: Store) -> bool:
        holders.update(store.operating.lease_owners())
        free_the_dead(store, queued)
        return store.reading.count_unfinished([1]) == 0

    assert serve(queued, name=name, until=until) == 0
    with open_store(queued.database) as store:
        outcomes = {attempt.outcome for document in (1, 2) for attempt in store.reading.dossier(document).attempts}
    assert (holders, outcomes) == ({name}, {"committed"})


def test_a_database_that_went_away_does_not_change_how_a_worker_ends(
    queued: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("the database went away")

    monkeypatch.setattr(Queue, "end_worker", away)
    assert serve(queued, until=lambda _: True) == 0
    assert "the end of this worker is not recorded: the database went away" in caplog.text


def test_where_nothing_is_left_there_is_nothing_to_go_on_with(
    queued: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stopped_when(queued, 2) == 0
    assert capsys.readouterr().err == ""


def test_a_worker_of_eat_run_leaves_the_advice_to_eat_run(
    queued: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PARENT_VARIABLE, str(os.getppid()))
    assert stopped_when(queued, 1) == 0
    assert capsys.readouterr().err == ""


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
