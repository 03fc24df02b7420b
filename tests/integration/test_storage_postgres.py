"""What only a server can do to a store: go away, refuse, come back; and everything at once, on both databases."""

from __future__ import annotations

import random
import signal
import threading
import time
import traceback
from typing import Any

import pytest

from eat_worker.errors import LeaseLost, StoreUnavailable
from eat_worker.method.document import Stage
from eat_worker.storage.store import open_store
from eat_worker.storage.values import StageResult


def test_a_store_works_again_after_the_server_was_killed(postgres: Any, migrated: str) -> None:
    with open_store(postgres.create_database(migrated)) as store:
        assert store.runs.list_runs() == []
        postgres.stop(signal.SIGQUIT)
        with pytest.raises(StoreUnavailable, match=r"the database postgresql\+psycopg://eat@/eat_.* does not answer"):
            store.runs.list_runs()
        assert store.database.seconds_since_failure() < 5
        with pytest.raises(StoreUnavailable):
            store.runs.list_runs()
        postgres.start()
        assert store.runs.list_runs() == []


def test_one_dead_connection_does_not_leave_others_behind(postgres: Any, migrated: str) -> None:
    with open_store(postgres.create_database(migrated)) as store:
        gate = threading.Barrier(4)

        def read() -> None:
            with store.database.read():
                gate.wait(timeout=20)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        postgres.stop(signal.SIGQUIT)
        postgres.start()
        with pytest.raises(StoreUnavailable):
            store.runs.list_runs()
        assert [store.runs.list_runs() for _ in range(6)] == [[]] * 6


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://eat:s3cret@127.0.0.1:1/eat",
        "postgresql+psycopg://127.0.0.1:1/eat?user=eat&password=s3cret",
        "postgresql+psycopg://eat@127.0.0.1:1/eat?sslpassword=s3cret&sslkey=/s3cret.pem",
    ],
)
def test_no_message_holds_a_password(url: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        open_store(url)
    assert "127.0.0.1" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_missing_database_is_named(postgres: Any) -> None:
    with pytest.raises(StoreUnavailable, match='database "absent" does not exist'):
        open_store(postgres.url("absent"))


def worker(store: Any, name: str, seed: int, committed: list[tuple[int, str]], stop: threading.Event) -> None:
    """Works until nothing is left; dies over some documents, and writes late on others."""
    chance = random.Random(seed)
    while not stop.is_set():
        claim = store.queue.claim_next({"gpu", "cpu"}, name, 0.2 if chance.random() < 0.2 else 60)
        while claim is not None:
            try:
                if chance.random() < 0.1:
                    time.sleep(0.25)
                store.queue.heartbeat([claim.lease], 60)
                after = claim.config.stage_after(claim.stage)
                kept = store.queue.commit_stage(
                    claim, StageResult(), after, keep=chance.random() < 0.5, lease_seconds=60
                )
                committed.append((claim.document_id, str(claim.stage)))
                claim = kept
            except LeaseLost:
                claim = None
        time.sleep(0.01)


def test_workers_and_dispatchers_at_once_neither_lose_nor_repeat_nor_deadlock(scene: Any) -> None:
    run = scene.run(documents=40)
    committed: list[tuple[int, str]] = []
    failures: list[Exception] = []
    stop = threading.Event()

    def guarded(action: Any, *arguments: Any) -> None:
        try:
            action(*arguments)
        except Exception as error:  # noqa: BLE001 - told by the main thread below
            failures.append(error)
            stop.set()

    def dispatch() -> None:
        while not stop.is_set():
            scene.store.queue.take_hints(5, window=20, stale_after=0.05)
            time.sleep(0.005)

    def submit() -> None:
        for number in range(40, 60):
            scene.store.runs.add_documents(run.id, [scene.document(number)])

    threads = [
        *(threading.Thread(target=guarded, args=(worker, scene.store, f"w{n}", n, committed, stop)) for n in range(4)),
        *(threading.Thread(target=guarded, args=(dispatch,)) for _ in range(2)),
        threading.Thread(target=guarded, args=(submit,)),
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 40
    while time.monotonic() < end and not stop.is_set():
        (status,) = scene.store.reading.run_status(run.id)
        if status.documents["done"] == 60:
            stop.set()
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert status.documents["done"] == 60
    assert len(committed) == len(set(committed)) == 60 * 5
    assert scene.store.runs.get_run(run.id).state == "complete"
    assert {str(stage) for stage in Stage if stage not in (Stage.DIRECT, Stage.DONE)} == {s for _, s in committed}
