"""The mean of two adapters, tensor by tensor, on numbers written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from eat_worker.errors import ConfigurationError
from eat_worker.models.adapter import WEIGHTS
from eat_worker.training.names.mean import write_mean


def folder(path: Path, **tensors: list[float]) -> Path:
    path.mkdir()
    save_file({name: torch.tensor(values, dtype=torch.bfloat16) for name, values in tensors.items()}, path / WEIGHTS)
    (path / "adapter_config.json").write_text(f'"{path.name}"', encoding="utf-8")
    return path


def test_every_tensor_is_half_of_one_and_half_of_the_other_in_its_own_type(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", A=[1.0, -2.0], B=[0.0, 3.0])
    other = folder(tmp_path / "other", A=[3.0, 2.0], B=[1.0, 3.03125])
    out = tmp_path / "out"
    out.mkdir()
    write_mean(one, other, out)
    mean = load_file(out / WEIGHTS)
    assert {name: tensor.dtype for name, tensor in mean.items()} == {"A": torch.bfloat16, "B": torch.bfloat16}
    assert {name: tensor.tolist() for name, tensor in mean.items()} == {"A": [2.0, 0.0], "B": [0.5, 3.015625]}
    assert (out / "adapter_config.json").read_text(encoding="utf-8") == '"other"'


def test_adapters_of_other_tensors_have_no_mean(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", A=[1.0])
    for number, other in enumerate(({"B": [1.0]}, {"A": [1.0, 2.0]})):
        with pytest.raises(ConfigurationError, match="have no mean"):
            write_mean(one, folder(tmp_path / str(number), **other), tmp_path)
    assert not (tmp_path / WEIGHTS).exists()
