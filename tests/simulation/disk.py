"""The disk of the simulated machine: it outlives every process, and the product's spool lies on it, in real files.

Processes of the simulated machine have names and no numbers; everything else about a spool is the product's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eat_worker.jobs.document.spool import Spool
from eat_worker.method.document import RoundOutput
from eat_worker.storage.store import Store
from eat_worker.storage.values import Lease

if TYPE_CHECKING:
    from workers import Worker


class MachineSpool(Spool):
    """The product's spool, in the folder of the machine."""

    def __init__(self, worker: Worker, folder: Path) -> None:
        super().__init__(folder)
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

    def _file(self, lease: Lease) -> Path:
        return self._folder / f"{self._worker.name}-{lease.document_id}-{lease.attempt}.json"

    def _left_behind(self) -> Iterator[Path]:
        for file in sorted(self._folder.glob("*.json")):
            name = file.stem.rsplit("-", 2)[0]
            if name == self._worker.name or not self._worker.world.is_alive(name):
                yield file
