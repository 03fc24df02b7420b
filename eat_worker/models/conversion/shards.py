"""Weights in safetensors files of bounded size, with the index that transformers reads. Knows no model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eat_worker.models.partial import Progress

if TYPE_CHECKING:
    import torch

SHARD: Final = 2_000_000_000  # bytes; also about what writing one holds in memory


def write_shards(
    folder: Path,
    sizes: Mapping[str, int],
    load: Callable[[str], tuple[str, torch.Tensor]],
    progress: Progress,
    *,
    limit: int = SHARD,
) -> None:
    """Write what `load` gives (name in the file, tensor) for each name of `sizes` (bytes), `limit` bytes to a file.

    One file is model.safetensors; several are numbered and listed in model.safetensors.index.json.
    """
    shards, total = _shared_out(sizes, limit), sum(sizes.values())
    places: dict[str, str] = {}
    done = 0
    for number, names in enumerate(shards, start=1):
        file = "model.safetensors" if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        tensors: dict[str, torch.Tensor] = {}
        for name in names:
            written_as, tensor = load(name)
            tensors[written_as] = tensor
            done += sizes[name]
            progress(done, total, f"weights, file {number} of {len(shards)}")
        save_tensors(tensors, folder / file)
        places |= dict.fromkeys(tensors, file)
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def save_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write one safetensors file, readable to whom a new file is: safetensors itself makes it its owner's only."""
    from safetensors.torch import save_file

    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(mode)


def _shared_out(sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if shards[-1] and filled + size > limit:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    return shards
