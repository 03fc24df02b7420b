"""Which workers there are, by their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eat_worker.runs.opening import is_new, open_existing
from eat_worker.runs.progress import iso
from eat_worker.settings import Settings
from eat_worker.storage.values import WorkerRecord


@dataclass(frozen=True, slots=True)
class ListedWorker:
    """A worker and how it fares.

    `state` is `serving`, `ended` (by itself) or `silent` (no heartbeat for `lease_seconds`: it was killed, it is
    frozen, or it cannot reach the database).
    """

    record: WorkerRecord
    state: str

    def to_json(self) -> dict[str, Any]:
        """The worker as documented for `eat status --workers --json`; instants in ISO 8601."""
        record, spec = self.record, self.record.spec
        return {
            "name": spec.name,
            "state": self.state,
            "host": spec.process.host,
            "process": spec.process.number,
            "fingerprints": list(spec.fingerprints),
            "queues": list(spec.queues),
            "version": spec.version,
            "started_at": iso(record.started_at),
            "last_heartbeat": iso(record.last_heartbeat),
            "ended_at": iso(record.ended_at),
        }


def list_workers(settings: Settings) -> list[ListedWorker]:
    """Workers of this database that were heard of within the last day, the oldest first."""
    if is_new(settings):
        return []
    with open_existing(settings) as store:
        return [ListedWorker(worker, _state(worker, settings.lease_seconds)) for worker in store.reading.workers()]


def _state(worker: WorkerRecord, lease_seconds: float) -> str:
    if worker.ended_at is not None:
        return "ended"
    return "silent" if worker.silent_seconds > lease_seconds else "serving"
