"""The mean of two adapters: each of their tensors, A and B alike, half of one and half of the other.

The product B A of the mean is not the mean of the products. Knows folders and tensors; knows no model.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from eat_worker.errors import ConfigurationError
from eat_worker.models.adapter import CONFIG, WEIGHTS


def write_mean(before: Path, after: Path, folder: Path) -> None:
    """Write the mean of the adapters in two folders into `folder`, in peft's form, with the configuration of `after`.

    Computed in float32 and kept in the type that the tensors of `after` have. Raises ConfigurationError when the two
    have other tensors.
    """
    from safetensors.torch import load_file, save_file

    one, other = load_file(before / WEIGHTS), load_file(after / WEIGHTS)
    if {name: tensor.shape for name, tensor in one.items()} != {name: tensor.shape for name, tensor in other.items()}:
        raise ConfigurationError(f"{before} and {after} have other tensors; they have no mean")
    mean = {name: (0.5 * one[name].float() + 0.5 * tensor.float()).to(tensor.dtype) for name, tensor in other.items()}
    save_file(mean, folder / WEIGHTS, metadata={"format": "pt"})
    shutil.copyfile(after / CONFIG, folder / CONFIG)
