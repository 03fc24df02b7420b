"""The one file from which a training run goes on: written whole, read only where it belongs.

Knows files; what is in the state is the caller's affair.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eat_worker.errors import ConfigurationError

NAME = "checkpoint.pt"


def write_checkpoint(folder: Path, *, belongs_to: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Replace the folder's checkpoint: a process that dies here leaves the one before."""
    import torch

    partial = folder / f"{NAME}.partial"
    with partial.open("wb") as file:
        torch.save({"belongs_to": dict(belongs_to), **state}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / NAME)


def read_checkpoint(folder: Path, *, belongs_to: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state kept in the folder, None where there is none yet.

    Raises ConfigurationError when it does not parse, or was made with another base, other data or other settings.
    """
    import torch

    path = folder / NAME
    if not path.is_file():
        return None
    try:
        # Tensors and plain values only: a checkpoint is data and never code.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}); remove {folder} and train again") from error
    was = state.pop("belongs_to")
    other = sorted(name for name in {*was, *belongs_to} if was.get(name) != belongs_to.get(name))
    if other:
        raise ConfigurationError(f"{folder} was begun with another {', '.join(other)}; give the same")
    return state
