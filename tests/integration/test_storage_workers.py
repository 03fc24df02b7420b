"""The rows of workers, on each kind of database."""

from __future__ import annotations

from typing import Any

from eat_worker.method.document import Stage
from eat_worker.storage.values import Process, WorkerSpec


def spec(name: str, number: int = 7) -> WorkerSpec:
    return WorkerSpec(
        name, Process("host", number, started=2**40, boot="b"), ("chat.a", "extract.b"), ("a", "b"), "1.0"
    )


def test_a_worker_is_found_as_it_described_itself(scene: Any) -> None:
    first, second = (scene.store.queue.add_worker(spec("w1", number)) for number in (7, 8))
    found = scene.store.reading.workers()
    assert [(worker.id, worker.spec) for worker in found] == [(first, spec("w1", 7)), (second, spec("w1", 8))]
    assert all(0 <= worker.last_heartbeat - worker.started_at < 1 and worker.ended_at is None for worker in found)
    assert all(0 <= worker.silent_seconds < 60 for worker in found)


def test_one_heartbeat_extends_leases_and_the_row_of_its_worker_only(scene: Any) -> None:
    scene.run()
    first, _ = (scene.store.queue.add_worker(spec(name)) for name in ("w1", "w2"))
    lease = scene.claim("w1").lease
    scene.sql("UPDATE workers SET last_heartbeat = last_heartbeat - 100")
    scene.sql("UPDATE documents SET lease_until = lease_until - 50")
    assert scene.store.queue.heartbeat([lease], 60, first) == []
    assert [round(worker.silent_seconds, -2) for worker in scene.store.reading.workers()] == [0, 100]
    ((left,),) = scene.sql("SELECT lease_until - started_at FROM documents")
    assert left > 50


def test_a_worker_that_ended_is_listed_for_a_day(scene: Any) -> None:
    first = scene.store.queue.add_worker(spec("w1"))
    scene.store.queue.end_worker(first)
    (ended,) = scene.store.reading.workers()
    assert 0 <= ended.ended_at - ended.last_heartbeat < 1
    scene.sql("UPDATE workers SET last_heartbeat = last_heartbeat - 86500")
    assert scene.store.reading.workers() == []


def test_a_claim_needs_no_row(scene: Any) -> None:
    """As by a worker of an earlier release, beside which the table was added."""
    scene.run()
    assert scene.store.queue.claim(1, Stage.FORWARD, "old", 60).worker == "old"
    assert scene.store.reading.workers() == []
