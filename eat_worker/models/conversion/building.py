"""A folder or file that appears at once and whole, or not at all.

Knows temporary names, locks and renames; does not know what is written. What a killed run left behind is removed by
the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from eat_worker.errors import ConfigurationError
from eat_worker.models.partial import Progress, disk_faults, sync_folder


@contextlib.contextmanager
def building(final: Path, progress: Progress) -> Iterator[Path]:
    """A temporary path beside `final` to write a file or the files of a folder to; it gets its name at the end.

    Raises ConfigurationError when `final` is there already: weights that something may have loaded are never
    replaced. Raises ModelError when the disk refuses. An error or Ctrl-C in the block leaves nothing.
    """
    with disk_faults(final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(final.parent, lambda: progress(0, 0, f"waiting: {final.parent} is being written to")):
            # Whoever held the lock may have made it meanwhile.
            if final.exists():
                raise ConfigurationError(f"{final} exists already; remove it, or name another place with --out")
            temporary = final.with_name(f".{final.name}.partial")
            _remove(temporary)
            try:
                yield temporary
                _sync(temporary)
                temporary.rename(final)
            finally:
                _remove(temporary)
            sync_folder(final.parent)


@contextlib.contextmanager
def _alone_in(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the folder's own lock: it leaves no lock file where a user looks, and the kernel frees a dead holder's."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Make what was written survive a power cut, before it gets its name."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
