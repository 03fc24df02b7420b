"""An adapter as GGUF holds what llama.cpp looks for, and the adapter's own numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from eat_worker.errors import ConfigurationError
from eat_worker.models.conversion.gguf_lora import export_gguf_lora
from eat_worker.models.conversion.layout import from_gguf, to_gguf
from eat_worker.models.fingerprint import file_sha256


def test_the_head_says_what_llama_cpp_asks_for(tiny_adapter_folder: Path, tmp_path: Path) -> None:
    path = export_gguf_lora(tiny_adapter_folder, tmp_path / "lora.gguf", models_dir=tmp_path)
    values = {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}
    digest = file_sha256(tiny_adapter_folder / "adapter_model.safetensors", tmp_path)
    assert {name: value for name, value in values.items() if not name.startswith("GGUF.")} == {
        "general.architecture": "qwen2",
        "general.type": "adapter",
        "general.name": "tiny-adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 16.0,
        "eat_worker.adapter_sha256": digest,
    }


def test_every_matrix_is_there_as_it_was(tiny_adapter_folder: Path, tmp_path: Path) -> None:
    told: list[int] = []
    path = export_gguf_lora(
        tiny_adapter_folder, tmp_path / "lora.gguf", models_dir=tmp_path, progress=lambda done, *_: told.append(done)
    )
    written = {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}
    lora = load_file(tiny_adapter_folder / "adapter_model.safetensors")
    assert len(written) == len(lora) == 28
    assert written["blk.1.attn_q.weight.lora_a"].shape == (64, 128)  # (r, in)
    assert written["blk.0.attn_k.weight.lora_b"].shape == (64, 64)  # (out, r): two heads of 32
    pairs = {
        "blk.0.attn_output.weight.lora_a": "layers.0.self_attn.o_proj.lora_A",
        "blk.1.ffn_gate.weight.lora_b": "layers.1.mlp.gate_proj.lora_B",
        "blk.1.ffn_down.weight.lora_a": "layers.1.mlp.down_proj.lora_A",
    }
    for name, original in pairs.items():
        assert np.array_equal(written[name], lora[f"base_model.model.model.{original}.weight"])
    assert told == list(range(1, 29))


def test_float16_has_the_same_numbers_rounded_in_half_the_bytes(tiny_adapter_folder: Path, tmp_path: Path) -> None:
    whole, half = (
        export_gguf_lora(tiny_adapter_folder, tmp_path / f"{type_}.gguf", models_dir=tmp_path, type_=type_)
        for type_ in ("f32", "f16")
    )
    tensors = {path: {one.name: one for one in gguf.GGUFReader(path).tensors} for path in (whole, half)}
    assert {one.tensor_type.name for one in tensors[half].values()} == {"F16"}
    for name, tensor in tensors[whole].items():
        assert np.array_equal(np.array(tensors[half][name].data), np.array(tensor.data).astype(np.float16))
    assert half.stat().st_size < 0.6 * whole.stat().st_size


def test_what_is_there_is_never_replaced(tiny_adapter_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "lora.gguf").write_text("abc")
    with pytest.raises(ConfigurationError, match="exists already"):
        export_gguf_lora(tiny_adapter_folder, tmp_path / "lora.gguf", models_dir=tmp_path)


@pytest.mark.parametrize(
    ("renamed", "message"),
    [
        ("base_model.model.lm_head.lora_A.weight", r"lm_head\.lora_A\.weight belongs to no matrix"),
        ("base_model.model.model.layers.0.mlp.up_proj.lora_C.weight", "belongs to no matrix"),
        (None, "matrices come in pairs"),
    ],
)
def test_what_llama_cpp_could_not_apply_is_refused(
    tiny_adapter_folder: Path, tmp_path: Path, renamed: str | None, message: str
) -> None:
    adapter = Path(shutil.copytree(tiny_adapter_folder, tmp_path / "adapter"))
    lora = load_file(adapter / "adapter_model.safetensors")
    tensor = lora.pop("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight")
    save_file(lora if renamed is None else lora | {renamed: tensor}, adapter / "adapter_model.safetensors")
    with pytest.raises(ConfigurationError, match=message):
        export_gguf_lora(adapter, tmp_path / "lora.gguf", models_dir=tmp_path)
    assert not (tmp_path / "lora.gguf").exists()


@pytest.mark.parametrize(
    ("in_folder", "in_gguf"),
    [
        ("model.layers.12.self_attn.v_proj.bias", "blk.12.attn_v.bias"),
        ("model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight"),
    ],
)
def test_names_go_both_ways(in_folder: str, in_gguf: str) -> None:
    assert to_gguf(in_folder) == in_gguf
    assert from_gguf(in_gguf) == in_folder


def test_norms_and_embeddings_are_known_and_other_tensors_are_not() -> None:
    assert from_gguf("blk.3.ffn_norm.weight") == "model.layers.3.post_attention_layernorm.weight"
    assert from_gguf("token_embd.weight") == "model.embed_tokens.weight"
    assert from_gguf("output.weight") == "lm_head.weight"
    assert from_gguf("blk.3.attn_q_norm.weight") is None  # Qwen3's
    assert from_gguf("rope_freqs.weight") is None
    assert to_gguf("lm_head.weight") is None
