"""Folders and files that nobody but their owner can read. What exists already keeps the rights its owner gave it.

Knows modes and umasks. Knows no state folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from eat_worker.errors import ConfigurationError


def make_private_folder(path: Path) -> None:
    """Make the folder and those missing above it, for their owner only.

    Raises ConfigurationError when it cannot be made.
    """
    try:
        for folder in (*reversed(path.parents), path):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {path} cannot be made: {error.strerror}; name another place, such as --state DIR"
        ) from error
    if not path.is_dir():
        raise ConfigurationError(f"{path} is a file, and a folder is needed there; name another place")


def make_private_file(path: Path) -> bool:
    """Make an empty file for its owner only, unless it exists; whether it is new.

    Of several who try only one makes it. Raises ConfigurationError when it cannot be made.
    """
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be made: {error.strerror}; name another place, such as --state DIR"
        ) from error
    return True


def private(path: str, flags: int) -> int:
    """An opener for `open`: a file that comes into being with it is its owner's only."""
    return os.open(path, flags, 0o600)
