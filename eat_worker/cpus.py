"""How many CPUs this process may really use. Knows affinity and container quotas; knows no engine."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cpus(quota: Path = QUOTA) -> int:
    """CPUs of the affinity mask, fewer where the container's quota allows fewer; at least 1."""
    getter = getattr(os, "sched_getaffinity", None)  # Linux only
    cpus = len(getter(0)) if getter else os.cpu_count() or 1
    try:
        limit, _, period = quota.read_text(encoding="ascii").partition(" ")
        allowed = cpus if limit == "max" else int(limit) // int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return cpus
    return max(1, min(cpus, allowed))
