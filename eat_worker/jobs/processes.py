"""Which processes of this machine run, and which one this is. Knows process numbers and nothing of what they do."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from eat_worker.storage.values import Process

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
NAMESPACE = Path("/proc/self/ns/pid")
# Of the words after the command of /proc/PID/stat, the one that counts clock ticks from boot to the process's start.
STARTED = 19


def this_process() -> Process:
    """This process, as another one of this machine can find it again."""
    return Process(host=socket.gethostname(), number=os.getpid(), started=_started(os.getpid()), boot=_boot())


def is_running(process: Process) -> bool | None:
    """Whether that process runs; None where it cannot be known from here: on another machine, in another container,
    after a boot, or where the system does not say when a process started.
    """
    if process.host != socket.gethostname() or process.boot != _boot():
        return None
    if not is_alive(process.number):
        return False
    started = _started(process.number)
    if started is None or process.started is None:
        return None
    return started == process.started


def is_alive(number: int) -> bool:
    """Whether a process of that number runs here, whoever it belongs to."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(number: int) -> int | None:
    try:
        stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None  # not Linux, or hidden from this user
    # The command is in parentheses and may hold any character, parentheses too.
    return int(stat.rpartition(")")[2].split()[STARTED])


def _boot() -> str | None:
    try:
        return f"{BOOT_ID.read_text(encoding='ascii').strip()} {NAMESPACE.readlink()}"
    except OSError:
        return None
