"""Workers by row: who they are, when they were last heard of, and when they ended.

A lease names its worker; what process that is, only this table says. Decides nothing about leases.
"""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import bindparam, insert, select, update

from eat_worker.storage.engine import Transaction
from eat_worker.storage.rows import clean, dump
from eat_worker.storage.tables import now, workers
from eat_worker.storage.values import Process, WorkerRecord, WorkerSpec

RECENT_SECONDS = 86400.0  # a worker that was silent for longer is no longer listed

_GIVEN = ("name", "host", "process", "process_started", "boot", "queues_json", "fingerprints_json", "version")
ADD_WORKER = (
    insert(workers)
    .values({name: bindparam(name, type_=workers.c[name].type) for name in _GIVEN})
    .values(started_at=now(), last_heartbeat=now())
    .returning(workers.c.id)
)
_worker = update(workers).where(workers.c.id == bindparam("worker_id"))
BEAT = _worker.values(last_heartbeat=now())
END_WORKER = _worker.values(last_heartbeat=now(), ended_at=now())
RECENT = (
    select(
        *(workers.c[name] for name in ("id", *_GIVEN, "started_at", "last_heartbeat", "ended_at")),
        now() - workers.c.last_heartbeat,
    )
    .where(workers.c.last_heartbeat >= now() - RECENT_SECONDS)
    .order_by(workers.c.id)
)


def add_worker(transaction: Transaction, worker: WorkerSpec) -> int:
    """Adds a row for a worker that begins now; its number."""
    row = transaction.rows(
        ADD_WORKER,
        name=clean(worker.name),
        host=clean(worker.process.host),
        process=worker.process.number,
        process_started=worker.process.started,
        boot=worker.process.boot,
        queues_json=dump(sorted(worker.queues)),
        fingerprints_json=dump(sorted(worker.fingerprints)),
        version=worker.version,
    )[0]
    return int(row[0])


def recent_workers(transaction: Transaction) -> list[WorkerRecord]:
    """Workers that were heard of within RECENT_SECONDS, the oldest first."""
    return [_worker_of(row) for row in transaction.rows(RECENT)]


def _worker_of(row: tuple[Any, ...]) -> WorkerRecord:
    key, name, host, number, started, boot, queues, fingerprints, version, *instants, silent = row
    spec = WorkerSpec(
        name=name,
        process=Process(host=host, number=number, started=started, boot=boot),
        queues=tuple(orjson.loads(queues)),
        fingerprints=tuple(orjson.loads(fingerprints)),
        version=version,
    )
    started_at, last_heartbeat, ended_at = instants
    return WorkerRecord(key, spec, started_at, last_heartbeat, ended_at, silent_seconds=max(float(silent), 0.0))
