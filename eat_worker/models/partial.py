"""A file that is still coming in: its prefix on disk, its running digest, its lock, and the room it needs.

Does not know where the bytes come from. The name of a partial file tells which file it will be, its length how far it
is; so any source can go on where another one stopped, and nothing else has to be kept in step.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

from eat_worker.errors import ModelError

CHUNK = 1 << 20  # bytes per read: large enough to be fast, small enough for a lively progress bar


class Progress(Protocol):
    """Hears how far a pull is, in bytes. `total_bytes` is 0 where unknown; `what` is a line for the user."""

    def __call__(self, done_bytes: int, total_bytes: int, what: str, /) -> None: ...


def silent(done_bytes: int, total_bytes: int, what: str) -> None:
    """A Progress that says nothing."""


class SourceFailed(Exception):
    """This source does not give the file; the next one may."""


class Partial:
    """The prefix of a file under a temporary name, open for more. Use as a context manager, under `locked`.

    Leaving the block keeps what has arrived, also after Ctrl-C. `total` is the length in bytes, None where unknown.
    """

    def __init__(self, path: Path, total: int | None) -> None:
        self.path = path
        self.total = total
        self.size = 0
        self._hash = hashlib.sha256()
        self._file = path.open("a+b")
        length = path.stat().st_size
        # Longer than the whole file: nothing of ours, or of an older catalog.
        self.cut(0 if total is not None and length > total else length)

    def __enter__(self) -> Partial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, data: bytes) -> None:
        """Add bytes. Raises SourceFailed when they are more than the file can hold; none of them is kept then."""
        if self.total is not None and self.size + len(data) > self.total:
            raise SourceFailed(f"sends more than the {self.total} bytes the file has")
        self._file.write(data)
        self._file.flush()  # the length on disk is all that a killed pull leaves to go on from
        self._hash.update(data)
        self.size += len(data)

    def cut(self, size: int) -> None:
        """Keep the first `size` bytes only, and hash them anew."""
        self._file.flush()
        self._file.truncate(size)
        self._file.seek(0)
        self._hash = hashlib.sha256()
        while chunk := self._file.read(CHUNK):
            self._hash.update(chunk)
        self.size = size

    def sha256(self) -> str:
        """SHA-256 (hex) of what is here."""
        return self._hash.hexdigest()

    def complete(self) -> bool:
        """True when the length is known and reached."""
        return self.size == self.total

    def finish(self, final: Path) -> None:
        """Give the file its name, at once and for good: readers see the old file or the whole new one."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.path.replace(final)
        sync_folder(final.parent)

    def discard(self) -> None:
        """Remove what is here."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class Mismatch(Exception):
    """The bytes are whole and wrong; `got` is their digest. Nothing of them is left."""

    def __init__(self, got: str) -> None:
        super().__init__(got)
        self.got = got


def receive(
    path: Path,
    final: Path,
    *,
    total: int | None,
    expected: str,
    fill: Callable[[Partial], None],
    digest: Callable[[Partial], str] = Partial.sha256,
) -> None:
    """Fill the partial file `path` and give it the name `final` if its digest is the expected one.

    Raises Mismatch, `final` untouched, when a file fetched from its first byte is wrong. One that went on from an
    earlier pull is fetched anew first: its old half may be what is wrong. What `fill` raises passes through.
    """
    while True:
        with Partial(path, total) as partial:
            resumed = partial.size > 0
            try:
                fill(partial)
            except BaseException:
                if partial.size == 0:
                    partial.discard()
                raise
            got = digest(partial)
            if got == expected:
                partial.finish(final)
                return
            partial.discard()
        if not resumed:
            raise Mismatch(got)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file `path`, alone on this machine; `waiting` is called once if somebody else has it.

    The kernel frees the lock of a dead process. The file stays: removing it would let two holders in.
    """
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def require_room(folder: Path, needed: int, name: str) -> None:
    """Raises ModelError when the disk of `folder` has fewer than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"{folder}: {name} needs {needed / 1e6:,.0f} MB more and the disk has {free / 1e6:,.0f} MB free; "
            "make room, or choose another models folder"
        )


@contextlib.contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Turns what a disk refuses inside the block into a ModelError that says what to do."""
    try:
        yield
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(f"{folder}: the disk is full; free space and pull again: it resumes there") from fault
        raise ModelError(f"{fault.filename or folder}: {fault.strerror or fault}") from fault
