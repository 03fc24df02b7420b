"""Which processes of this machine are alive. Knows process numbers and nothing of what they do."""

from __future__ import annotations

import os


def is_alive(process: int) -> bool:
    """Whether a process of that number runs here, whoever it belongs to."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
