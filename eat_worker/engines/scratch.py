"""A folder for the files of one running engine. Knows nothing of what lies in it."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_PREFIX = "eat-engine-"
_LOCK = ".lock"
_BEING_MADE = 60.0  # seconds in which a folder may be there without its lock


class Scratch:
    """A folder in the system's temporary one, gone after `close`.

    A killed process cannot clean up: the next one removes every folder whose lock nobody holds any more.
    """

    def __init__(self) -> None:
        for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with suppress(OSError):  # of another user, or another process was quicker
                _remove_abandoned(old)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = (self.path / _LOCK).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _remove_abandoned(folder: Path) -> None:
    if time.time() - folder.stat().st_mtime < _BEING_MADE:
        return
    with (folder / _LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
