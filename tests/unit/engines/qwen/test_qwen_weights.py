"""What is loaded, and what is refused: weights, adapters, arithmetic that do not fit together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from eat_worker.engines.qwen.engine import Qwen
from eat_worker.errors import ConfigurationError

Open = Callable[..., Qwen]


@pytest.fixture
def base(tiny_qwen_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to spoil."""
    return Path(shutil.copytree(tiny_qwen_folder, tmp_path / "base"))


@pytest.fixture
def adapter(tiny_adapter_folder: Path, tmp_path: Path) -> Path:
    """A copy of its adapter, to spoil."""
    return Path(shutil.copytree(tiny_adapter_folder, tmp_path / "adapter"))


def change_tensors(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def change_json(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_nf4_is_double_quantised_and_leaves_embeddings_and_head(
    tiny_qwen_folder: Path, tiny_adapter_folder: Path
) -> None:
    import torch

    from eat_worker.engines.qwen.weights import load_weights

    # As loaded: some CPUs repack the layers when they are first used.
    causal = load_weights(
        tiny_qwen_folder,
        tiny_adapter_folder,
        vocabulary=609,
        device="cpu",
        quantisation="nf4",
        dtype="bfloat16",
    ).causal
    projection = causal.get_decoder().layers[0].self_attn.q_proj
    base = projection.base_layer
    assert type(base).__name__ == "Linear4bit"
    assert (base.weight.quant_type, base.weight.quant_state.nested, base.compute_dtype) == ("nf4", True, torch.bfloat16)
    assert causal.lm_head.weight.dtype == causal.get_input_embeddings().weight.dtype == torch.bfloat16
    # In float32, as it was trained, the adapter would be twice as large and slow.
    assert {weight.dtype for weight in projection.lora_A.parameters()} == {torch.bfloat16}


def test_weights_that_are_quantised_already_are_refused(open_qwen: Open, base: Path) -> None:
    change_json(base / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(ConfigurationError, match="quantised already"):
        open_qwen(base, quantisation="nf4", dtype="bfloat16")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"dtype": "float16"}, "float16 overflows"),
        ({"dtype": "int8"}, "dtype = 'int8' is not one of: bfloat16, float32"),
        ({"quantisation": "int8"}, "quantisation = 'int8' is not one of: nf4, none"),
        ({"device": "cuda"}, "finds no CUDA device"),
        ({"device": "abacus"}, "device = 'abacus' is not one of"),
        ({"context": 10_000}, "context = 10000 is more than the 8192 tokens of tiny-qwen"),
    ],
)
def test_settings_that_cannot_work_are_refused(chosen: dict[str, Any], message: str, open_qwen: Open) -> None:
    import torch

    if chosen.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(ConfigurationError, match=message):
        open_qwen(**chosen)


def test_auto_takes_a_gpu_where_there_is_one(open_qwen: Open) -> None:
    import torch

    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert open_qwen(device="auto").info.detail["device"].startswith(expected)


def test_only_safetensors_are_read(open_qwen: Open, base: Path) -> None:
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(ConfigurationError, match=r"no \.safetensors file there"):
        open_qwen(base)


def test_a_file_that_is_cut_off_is_refused(open_qwen: Open, base: Path) -> None:
    file = base / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(ConfigurationError, match="the weights cannot be loaded"):
        open_qwen(base)


def test_weights_that_lack_a_matrix_are_refused(open_qwen: Open, base: Path) -> None:
    change_tensors(base / "model.safetensors", lambda all_: all_.pop("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(ConfigurationError, match=r"missing_keys model\.layers\.1\.mlp\.up_proj\.weight"):
        open_qwen(base)


def test_weights_that_are_no_numbers_are_refused(open_qwen: Open, base: Path) -> None:
    change_tensors(base / "model.safetensors", lambda all_: all_["model.norm.weight"].fill_(float("nan")))
    with pytest.raises(ConfigurationError, match="without an adapter computes logits that are not numbers"):
        open_qwen(base)


def test_an_adapter_that_is_no_number_is_refused(open_qwen: Open, adapter: Path) -> None:
    name = "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight"
    change_tensors(adapter / "adapter_model.safetensors", lambda all_: all_[name].fill_(float("inf")))
    with pytest.raises(ConfigurationError, match="with its adapter computes logits that are not numbers"):
        open_qwen(adapter=adapter)


def test_windows_of_attention_are_refused(open_qwen: Open, base: Path) -> None:
    change_json(base / "config.json", use_sliding_window=True, sliding_window=16, max_window_layers=1)
    with pytest.raises(ConfigurationError, match="sliding-window attention"):
        open_qwen(base)


def test_a_model_that_never_ends_is_refused(open_qwen: Open, base: Path) -> None:
    change_json(base / "config.json", eos_token_id=None)
    change_json(base / "generation_config.json", eos_token_id=None)
    with pytest.raises(ConfigurationError, match="names no eos_token_id"):
        open_qwen(base)


def test_an_adapter_that_lacks_a_matrix_is_refused(open_qwen: Open, adapter: Path) -> None:
    names = [f"base_model.model.model.layers.0.mlp.up_proj.lora_{part}.weight" for part in "AB"]
    change_tensors(adapter / "adapter_model.safetensors", lambda all_: [all_.pop(name) for name in names])
    with pytest.raises(ConfigurationError, match=r"it lacks base_model.*up_proj\.lora_A.*, .*up_proj\.lora_B"):
        open_qwen(adapter=adapter)


def test_an_adapter_with_matrices_for_another_model_is_refused(open_qwen: Open, adapter: Path) -> None:
    def add(tensors: dict[str, Any]) -> None:
        for name in list(tensors):
            tensors[name.replace("layers.1", "layers.2")] = tensors[name].clone()

    change_tensors(adapter / "adapter_model.safetensors", add)
    with pytest.raises(ConfigurationError, match=r"it has in excess .*layers\.2.* and 11 more"):
        open_qwen(adapter=adapter)


def test_an_adapter_of_another_rank_than_it_says_is_refused(
    open_qwen: Open, tiny_models: ModuleType, tiny_qwen_folder: Path, tmp_path: Path
) -> None:
    folder = tiny_models.tiny_adapter(tiny_qwen_folder, tmp_path / "r8", r=8)
    change_json(folder / "adapter_config.json", r=64)
    with pytest.raises(ConfigurationError, match="does not fit the base model"):
        open_qwen(adapter=folder)


def test_a_folder_without_adapter_is_refused(open_qwen: Open, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no adapter_model\.safetensors there"):
        open_qwen(adapter=tmp_path)


def test_missing_libraries_are_named(open_qwen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "eat_worker.engines.qwen.scheduler", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'eat_worker\[gpu\]'"):
        open_qwen()
