"""The disk of the simulated machine: it outlives every process, and the product's spool lies on it, in real files.

Processes of the simulated machine have numbers of their own; everything else about a spool is the product's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eat_worker.jobs.document.spool import Spool
from eat_worker.method.document import RoundOutput
from eat_worker.storage.store import Store
from eat_worker.storage.values import Lease, Process

if TYPE_CHECKING:
    from workers import Worker


class MachineSpool(Spool):
    """The product's spool, in the folder of the machine."""

    def __init__(self, worker: Worker, folder: Path) -> None:
        super().__init__(folder, Process(host="machine", number=worker.number, started=None, boot=None))
        self._worker = worker

    def drop(self, lease: Lease) -> None:
        if self._worker.is_alive:  # a process that was killed deletes nothing
            super().drop(lease)

    def restore(self, store: Store) -> int:
        restored = super().restore(store)
        self._worker.world.met["restored"] += restored
        return restored

    def _write(self, lease: Lease, rounds: Sequence[RoundOutput]) -> int:
        self._worker.world.met["spooled"] += 1
        return super()._write(lease, rounds)

    def _is_running(self, owner: Process) -> bool | None:
        return owner.number in self._worker.world.running
