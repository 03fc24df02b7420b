"""No room left for the database, or a disk that fails, at one point after another: what was committed stays.

And the run goes on afterwards. Four ways: SQLite may have no more pages (`max_page_count`, SQLITE_FULL), the process
may write no longer files (RLIMIT_FSIZE, EFBIG in the middle of a write), reads, writes, half writes or syncs end with
EIO (`failing_io.c`, where there is a C compiler), a small file system is full (tmpfs, ENOSPC, where this user may mount
one). One worker goes through all points of a way and is never restarted.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import IO, Any

from campaigns import audit
from campaigns.feeding import LEFT, ROOM, Feed
from campaigns.record import Outcome
from campaigns.run_site import Site, eventually
from eat_worker.errors import EatError
from eat_worker.storage.store import open_store

UNLIMITED = 2**31 - 2  # pages
FINISH_SECONDS = 900.0
NOTICE_SECONDS = 60.0
TMPFS_BYTES = 64 << 20
CLONE_NEWNS = 0x20000
IO_KINDS = {b"r": "reads", b"w": "writes", b"t": "half writes", b"s": "syncs"}  # as failing_io.c spells them
LIBRARY = "failing_io.so"
ROUNDS = "SELECT document_id, stage, entity, round, attempt, output FROM rounds"
COMMITS = "SELECT document_id, attempt, stage FROM attempts WHERE outcome = 'committed'"
FULL = (
    "no space left for the database",
    "disk I/O error",
    "database or disk is full",
    "cannot be read",
    "does not answer",
)
Tell = Callable[[str], None]


class Listener:
    """Reads a process's log from a pipe, which no limit on files touches; counts its complaints."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.complaints: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            for words in FULL:
                if words.encode() in line:
                    self.complaints[words] += 1
                    break


class Disk:
    """A run on SQLite without broker, one worker, and what is checked at every point."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.site = Site(folder, 2 * LEFT, seconds=0.005, room=ROOM, broker_url="none", concurrency=4)
        stack.callback(self.site.close)
        self.site.submit()
        self.file = self.site.settings.state / "eat.db"
        self.pages = folder / "pages"
        self.allow(UNLIMITED)
        self.worker = self.site.worker(log=False)
        self.worker.command += ["--pages", str(self.pages)]
        self.damaged = self.vanished = 0
        self.kinds = Counter[str]()  # points by what failed, where a way has several
        self._feed = Feed(self.site, stack.enter_context(open_store(self.site.settings.database)))

    def start(self) -> Listener:
        """Start the worker and listen to it."""
        self.worker.start()
        assert self.worker.process is not None
        assert self.worker.process.stderr is not None
        return Listener(self.worker.process.stderr)

    def allow(self, pages: int) -> None:
        """So many pages from the next transaction on."""
        partial = self.pages.with_suffix(".new")
        partial.write_text(str(pages))
        partial.replace(self.pages)

    def work_until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for it, and see to it that there is work all the while. Raises TimeoutError."""

        def fed() -> bool:
            with suppress(EatError):  # no room for more documents: nobody gets on with those that are there either
                self._feed()
            return condition()

        eventually(fed, what, seconds)

    def rows(self, sql: str) -> set[tuple[Any, ...]]:
        """All rows of a query, on a connection of our own."""
        with closing(sqlite3.connect(self.file, timeout=60)) as connection:
            return set(connection.execute(sql))

    def done(self) -> int:
        """Documents that are done."""
        return int(next(iter(self.rows("SELECT count(*) FROM documents WHERE status = 'done'")))[0])

    def look(self, before: tuple[set[Any], set[Any]]) -> tuple[set[Any], set[Any]]:
        """What is committed now; counts what was there before and is not, and whether the file is sound."""
        rounds, commits = self.rows(ROUNDS), self.rows(COMMITS)
        self.vanished += len(before[0] - rounds) + len(before[1] - commits)
        with closing(sqlite3.connect(self.file, timeout=60)) as connection:
            self.damaged += connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]
        return rounds, commits


def run_points(
    disk: Disk,
    points: int,
    fill: Callable[[], object],
    free: Callable[[], object],
    tell: Tell,
    *,
    failures: Callable[[], int] | None = None,
) -> Listener:
    """Fill the disk, wait until something fails, look, make room, wait until the worker gets on; so many times.

    What fails are calls that `failures` counts, and without it what the worker complains of.
    """
    listener = disk.start()
    failures = failures or listener.complaints.total
    committed: tuple[set[Any], set[Any]] = (set(), set())
    eventually(disk.done, "the first document")
    for number in range(points):
        before, done = failures(), disk.done()
        fill()
        disk.work_until(lambda b=before: failures() > b, "a complaint about the disk", NOTICE_SECONDS)
        committed = disk.look(committed)
        free()
        disk.work_until(lambda d=done: disk.done() > d, "a document after there was room", NOTICE_SECONDS)
        committed = disk.look(committed)
        if number % 10 == 9:
            tell(f"{number + 1} points, {disk.done()} of {disk.site.documents} done")
    eventually(lambda: disk.done() == disk.site.documents, "the end of the run", FINISH_SECONDS, 0.2)
    disk.look(committed)
    return listener


def by_pages(disk: Disk, chance: random.Random, points: int, tell: Tell) -> Listener:
    """`max_page_count` a few pages above what the database has."""

    def fill() -> None:
        with closing(sqlite3.connect(disk.file, timeout=60)) as connection:
            there = connection.execute("PRAGMA page_count").fetchone()[0]
        disk.allow(there + chance.randint(0, 6))

    return run_points(disk, points, fill, lambda: disk.allow(UNLIMITED), tell)


def by_limit(disk: Disk, chance: random.Random, points: int, tell: Tell) -> Listener:
    """RLIMIT_FSIZE within the next pages of the write-ahead log: a write comes back short or with an error."""
    everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    log = disk.file.with_name("eat.db-wal")

    def fill() -> None:
        size = max(log.stat().st_size if log.exists() else 0, 4096)
        resource.prlimit(disk.worker.pid, resource.RLIMIT_FSIZE, (size + chance.randint(0, 9000), everything[1]))
        # A log that was just begun anew is long enough for a while: then the limit lies within it.
        with suppress(TimeoutError):
            disk.work_until(lambda: log.stat().st_size >= size, "a longer log", 5)
        resource.prlimit(disk.worker.pid, resource.RLIMIT_FSIZE, (chance.randint(4096, 40960), everything[1]))

    return run_points(
        disk, points, fill, lambda: resource.prlimit(disk.worker.pid, resource.RLIMIT_FSIZE, everything), tell
    )


def by_errors(disk: Disk, chance: random.Random, points: int, tell: Tell) -> Listener:
    """EIO of reads, writes, half writes and syncs in turn, for as long as it takes to be met and a moment more."""
    kinds = itertools.cycle(IO_KINDS)
    place = disk.site.folder
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", place / LIBRARY, Path(__file__).with_name("failing_io.c")], check=True
    )
    (place / "order").write_bytes(bytes(16))
    disk.worker.env |= {"LD_PRELOAD": str(place / LIBRARY), "FAILING_IO": str(place / "order")}
    with (place / "order").open("r+b") as file, mmap.mmap(file.fileno(), 16) as order:

        def failures() -> int:
            return int.from_bytes(order[8:16], sys.byteorder)

        def fill() -> None:
            kind = next(kinds)
            disk.kinds[IO_KINDS[kind]] += 1
            order[0:1] = kind

        def free() -> None:
            time.sleep(chance.uniform(0, 0.5))
            order[0:1] = bytes(1)

        return run_points(disk, points, fill, free, tell, failures=failures)


def full_disk(
    outcome: Outcome, folder: Path, *, pages: int, limits: int, errors: int, tmpfs: int, seed: int, tell: Tell
) -> None:
    """So many points of each way; what they found goes into `outcome`."""
    chance = random.Random(seed)
    ways: dict[str, tuple[int, Callable[..., Listener]]] = {
        "max_page_count": (pages, by_pages),
        "RLIMIT_FSIZE": (limits, by_limit),
        "EIO": (errors, by_errors),
        "tmpfs": (tmpfs, by_ballast),
    }
    total = 0
    for name, (points, way) in ways.items():
        if not points:
            continue
        with ExitStack() as stack:
            if name == "tmpfs" and (why := mount_of_its_own(stack, folder / name / "state", TMPFS_BYTES)):
                outcome.counts[name] = f"skipped: {why}"
                continue
            if name == "EIO" and shutil.which("cc") is None:
                outcome.counts[name] = "skipped: there is no C compiler"
                continue
            disk = Disk(stack, folder / name)
            tell(f"{name}: {points} points")
            listener = way(disk, chance, points, tell)
            _told(outcome, disk, name, points, listener)
            total += points
    outcome.at_least("points", pages + limits, total)


def _told(outcome: Outcome, disk: Disk, name: str, points: int, listener: Listener) -> None:
    alive = disk.worker.runs()
    code = disk.worker.end(15)
    with open_store(disk.site.settings.database) as store:
        found = audit.findings(store, disk.site.documents)
    outcome.counts |= {
        f"points: {name}": points,
        f"complaints of the worker: {name}": dict(listener.complaints),
        f"attempts by outcome: {name}": found.outcomes,
        f"rounds asked twice: {name}": disk.site.requests() - found.rounds,
    }
    if disk.kinds:
        outcome.counts[f"points by kind: {name}"] = dict(disk.kinds)
    outcome.at_most(f"{name}: committed rows that vanished", 0, disk.vanished)
    outcome.at_most(f"{name}: integrity checks that failed", 0, disk.damaged)
    outcome.at_most(f"{name}: lost, duplicated or half-written", 0, found.lost + found.duplicated + found.half_written)
    outcome.holds(f"{name}: the worker was never restarted and drains with 0", true=alive and code == 0)


def mount_of_its_own(stack: ExitStack, place: Path, size: int) -> str:
    """Mount an empty file system of so many bytes; why that cannot be, "" when it was done.

    In a mount namespace of this process: nobody else sees it, and it is gone with the process however that ends.
    """
    if os.geteuid() != 0 or sys.platform != "linux" or ctypes.CDLL(None).unshare(CLONE_NEWNS):
        return "this user may mount nothing"
    place.mkdir(parents=True, exist_ok=True)
    for words in (
        ["mount", "--make-rprivate", "/"],
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(place)],
    ):
        done = subprocess.run(words, capture_output=True, check=False)
        if done.returncode:
            return done.stderr.decode(errors="replace").strip()
    stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=False)
    return ""


def by_ballast(disk: Disk, _chance: random.Random, points: int, tell: Tell) -> Listener:
    """A file that takes all the room there is beside the database."""
    ballast = disk.file.with_name("ballast")

    def fill() -> None:
        with suppress(OSError), ballast.open("wb", buffering=0) as target:
            while target.write(bytes(4096)):
                pass

    return run_points(disk, points, fill, ballast.unlink, tell)
