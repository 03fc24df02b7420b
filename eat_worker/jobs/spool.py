"""Rounds that the database could not take yet, on disk: model time is not asked twice because a database was away.

One file per document in hand, for its owner only and synced, gone as soon as the rounds are stored. Whoever holds the
document keeps trying; the file is for the case that its process ends before the database is back. Knows files and the
fence of a claim. Knows no pause.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from eat_worker.errors import EatError, LeaseLost
from eat_worker.jobs.processes import is_alive
from eat_worker.method.document import RoundOutput, Stage
from eat_worker.private_files import make_private_folder, private
from eat_worker.storage.store import Store
from eat_worker.storage.values import Lease

log = logging.getLogger(__name__)

# A file of another machine's process that nobody touched for so long is taken for one that its owner left behind.
STRANGER_SECONDS = 3600.0


class Spool:
    """The spool of one process in a folder that several may share. All methods may be called from many threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._kept: dict[Lease, tuple[int, int]] = {}  # rounds and bytes of each file of this process

    @property
    def size(self) -> int:
        """Bytes that lie in the spool for this process."""
        with self._lock:
            return sum(size for _, size in self._kept.values())

    def keep(self, lease: Lease, rounds: Sequence[RoundOutput]) -> None:
        """Put the rounds on disk; they replace what was kept under that lease. A disk that refuses is only logged."""
        with self._lock:
            if not rounds or self._kept.get(lease, (0, 0))[0] == len(rounds):
                return
            try:
                self._kept[lease] = (len(rounds), self._write(lease, rounds))
            except (OSError, EatError) as error:
                log.warning("document %d: its rounds stay in memory only: %s", lease.document_id, error)

    def drop(self, lease: Lease) -> None:
        """Forget what was kept under that lease: it is stored, or the document went to somebody else."""
        with self._lock:
            if self._kept.pop(lease, None):
                self._file(lease).unlink(missing_ok=True)

    def restore(self, store: Store) -> int:
        """Store what processes left behind that are gone, and free their documents; how many. Call before any `keep`.

        What belongs to a document that went to somebody else meanwhile is dropped. Raises StoreUnavailable.
        """
        restored = 0
        for file in self._left_behind():
            found = _read(file)
            if found is not None:
                restored += _store(store, *found)
            file.unlink(missing_ok=True)
        return restored

    def _write(self, lease: Lease, rounds: Sequence[RoundOutput]) -> int:
        content = orjson.dumps({"lease": asdict(lease), "rounds": [asdict(output) for output in rounds]})
        make_private_folder(self._folder)
        file = self._file(lease)
        partial = file.with_suffix(".partial")
        with open(partial, "wb", opener=private) as target:  # Path.open takes no opener
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
        partial.replace(file)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return len(content)

    def _file(self, lease: Lease) -> Path:
        name = f"{socket.gethostname()}-{os.getpid()}-{lease.document_id}-{lease.attempt}.json"
        return self._folder / name

    def _left_behind(self) -> Iterator[Path]:
        for file in sorted(self._folder.glob("*.json")):
            host, process, *_ = file.stem.rsplit("-", 3)
            if host == socket.gethostname():
                # A process of our own number is this one's predecessor, as in a container that was started again.
                left = int(process) == os.getpid() or not is_alive(int(process))
            else:
                left = time.time() - file.stat().st_mtime > STRANGER_SECONDS
            if left:
                yield file


def _store(store: Store, lease: Lease, rounds: list[RoundOutput]) -> bool:
    about = {"document": lease.document_id, "stage": lease.stage, "attempt": lease.attempt}
    try:
        store.queue.add_rounds(lease, rounds)
        store.queue.release(lease, reason="its worker ended while the database was away")
    except LeaseLost as error:
        log.info("dropped from the spool: %s", error, extra=about)
        return False
    log.info("%d rounds stored from the spool", len(rounds), extra=about)
    return True


def _read(file: Path) -> tuple[Lease, list[RoundOutput]] | None:
    try:
        found = orjson.loads(file.read_bytes())
        lease = Lease(**{**found["lease"], "stage": Stage(found["lease"]["stage"])})
        return lease, [_round(values) for values in found["rounds"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be read and is dropped: %s", file, error)
        return None


def _round(values: dict[str, Any]) -> RoundOutput:
    return RoundOutput(**{**values, "stage": Stage(values["stage"]), "flags": tuple(values["flags"])})
