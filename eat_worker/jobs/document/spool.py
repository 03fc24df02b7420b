"""Rounds that the database could not take yet, on disk: model time is not asked twice because a database was away.

One file per document in hand, for its owner only and synced, gone as soon as the rounds are stored. Whoever holds the
document keeps trying; the file is for the case that its process ends before the database is back. Knows files and the
fence of a claim. Knows no pause.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from eat_worker.errors import EatError, LeaseLost
from eat_worker.jobs.processes import is_running, this_process
from eat_worker.method.document import RoundOutput, Stage
from eat_worker.private_files import make_private_folder, private
from eat_worker.storage.store import Store
from eat_worker.storage.values import Lease, Process

log = logging.getLogger(__name__)

# Where it cannot be known whether a file's owner lives, as on another machine, the file counts as left behind when it
# has not changed for so long.
STRANGER_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a file holds; `owner` is the process that wrote it."""

    owner: Process | None
    lease: Lease
    rounds: tuple[RoundOutput, ...]


class Spool:
    """The spool of one process in a folder that several may share. All methods may be called from many threads."""

    def __init__(self, folder: Path, owner: Process | None = None) -> None:
        self._folder = folder
        self._owner = owner or this_process()
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
        """Forget what was kept under that lease: it is stored, or the document belongs to another worker."""
        with self._lock:
            if self._kept.pop(lease, None):
                self._file(lease).unlink(missing_ok=True)

    def restore(self, store: Store) -> int:
        """Store what processes left behind that are gone, and free their documents; how many. Call before any `keep`.

        What belongs to a document that another worker has claimed meanwhile is dropped. Raises StoreUnavailable.
        """
        restored = 0
        for file in sorted(self._folder.glob("*.json")):
            try:
                kept = _read(file)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                if _is_old(file):
                    log.warning("%s cannot be read and is dropped: %s", file, error)
                    file.unlink(missing_ok=True)
                continue
            if not self._is_in_use(file, kept.owner):
                restored += _store(store, kept)
                file.unlink(missing_ok=True)
        return restored

    def _write(self, lease: Lease, rounds: Sequence[RoundOutput]) -> int:
        content = orjson.dumps(asdict(_Kept(self._owner, lease, tuple(rounds))))
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
        # Two processes never write the same name; whose file it is, its content says.
        owner = self._owner
        return self._folder / f"{owner.host}-{owner.number}-{lease.document_id}-{lease.attempt}.json"

    def _is_in_use(self, file: Path, owner: Process | None) -> bool:
        """Whether the process that wrote the file may still need it."""
        if owner is None:
            return not _is_old(file)
        mine = self._owner
        # A container that was started again: the same host, and its processes are numbered anew.
        if owner == mine or (owner.host == mine.host and owner.boot != mine.boot):
            return False
        running = self._is_running(owner)
        return not _is_old(file) if running is None else running

    def _is_running(self, owner: Process) -> bool | None:
        return is_running(owner)


def _store(store: Store, kept: _Kept) -> bool:
    lease = kept.lease
    about = {"document": lease.document_id, "stage": lease.stage, "attempt": lease.attempt}
    try:
        store.queue.add_rounds(lease, kept.rounds)
        store.queue.release(lease, reason="its worker ended while the database was away")
    except LeaseLost as error:
        log.info("dropped from the spool: %s", error, extra=about)
        return False
    log.info("%d rounds stored from the spool", len(kept.rounds), extra=about)
    return True


def _read(file: Path) -> _Kept:
    found = orjson.loads(file.read_bytes())
    owner = found.get("owner")  # earlier releases wrote none
    lease = Lease(**{**found["lease"], "stage": Stage(found["lease"]["stage"])})
    return _Kept(owner and Process(**owner), lease, tuple(_round(values) for values in found["rounds"]))


def _is_old(file: Path) -> bool:
    try:
        return time.time() - file.stat().st_mtime > STRANGER_SECONDS
    except FileNotFoundError:
        return False  # its owner stored it meanwhile


def _round(values: dict[str, Any]) -> RoundOutput:
    return RoundOutput(**{**values, "stage": Stage(values["stage"]), "flags": tuple(values["flags"])})
