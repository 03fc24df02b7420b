"""A GGUF file as a folder of bf16 safetensors, once: what the engine `qwen` and training load.

The weights are those that llama.cpp computes with, written out: what quantisation lost stays lost. Tensors are read and
written one after the other, without transformers' own loader: it marks such a model as quantised and then refuses to
save it. Knows Qwen2 only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eat_worker.errors import ModelError
from eat_worker.models.catalog import CATALOG
from eat_worker.models.conversion import require_libraries, versions
from eat_worker.models.conversion.building import building
from eat_worker.models.conversion.layout import from_gguf, required
from eat_worker.models.conversion.shards import write_shards
from eat_worker.models.conversion.vocabulary import write_tokenizer
from eat_worker.models.fingerprint import describe_gguf, file_sha256
from eat_worker.models.manifest import write_manifest
from eat_worker.models.partial import Progress, require_room, silent

if TYPE_CHECKING:
    import torch
    from gguf import ReaderTensor

_BF16 = 2  # bytes of one weight
_BESIDE = 50_000_000  # bytes: tokenizer, configuration and some room to spare


def convert(gguf: Path, out: Path, *, models_dir: Path, progress: Progress = silent) -> Path:
    """Write weights, configuration, tokenizer and chat template of `gguf` into the new folder `out`; gives `out`.

    `models_dir` is where digests of large files are remembered. Raises ConfigurationError when `out` is there already
    or a library is missing, ModelError when the file is damaged, is no Qwen2, or does not fit the disk.
    """
    require_libraries()
    head = describe_gguf(gguf)
    if head.architecture != "qwen2":
        raise ModelError(f"{gguf}: its architecture is {head.architecture}; only qwen2 can be converted")
    with building(out, progress) as folder:
        progress(0, 0, f"reading {gguf}")
        digest = file_sha256(gguf, models_dir)
        folder.mkdir()
        try:
            _write_model(gguf, folder, progress)
        except ModelError as fault:
            raise ModelError(f"{gguf}: {fault}") from fault
        except (KeyError, ValueError, IndexError, TypeError) as fault:
            raise ModelError(f"{gguf}: a damaged GGUF file: {fault!r}") from fault
        progress(0, 0, "computing digests")
        _write_origin(folder, gguf, digest)
    return out


def _write_model(gguf: Path, folder: Path, progress: Progress) -> None:
    from gguf import GGUFReader

    reader = GGUFReader(gguf)
    values = {name: found.contents() for name, found in reader.fields.items()}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    _demand_whole(values, tensors)
    sizes = {name: _BF16 * int(tensor.n_elements) for name, tensor in tensors.items()}
    require_room(folder, sum(sizes.values()) + _BESIDE, folder.name)
    write_tokenizer(values, folder)
    _write_json(folder / "config.json", _config(values, tensors))
    _write_json(folder / "generation_config.json", _generation(values))

    def load(name: str) -> tuple[str, torch.Tensor]:
        return str(from_gguf(name)), _dequantised(tensors[name])

    write_shards(folder, sizes, load, progress)


def _demand_whole(values: Mapping[str, Any], tensors: Mapping[str, ReaderTensor]) -> None:
    scaling = values.get("qwen2.rope.scaling.type", "none")
    if scaling != "none":
        raise ModelError(f"its positions are scaled ({scaling}); only unscaled ones can be converted")
    needed = list(required(values["qwen2.block_count"]))
    missing = [name for name in needed if name not in tensors]
    if missing:
        raise ModelError(f"it lacks {len(missing)} tensors, such as {', '.join(missing[:3])}")
    strange = sorted(tensors.keys() - {*needed, "output.weight"})
    if strange:
        raise ModelError(f"it has tensors that such a Qwen2 does not have: {', '.join(strange[:3])}")


def _dequantised(tensor: ReaderTensor) -> torch.Tensor:
    """The weights in bf16, (out, in) for a matrix."""
    import torch
    from gguf.quants import dequantize

    weights = dequantize(tensor.data, tensor.tensor_type)  # float32; `data` is (out, in), as numpy counts
    return torch.tensor(weights).to(torch.bfloat16)


def _config(values: Mapping[str, Any], tensors: Mapping[str, ReaderTensor]) -> dict[str, Any]:
    """The configuration that transformers reads, from the values of the head."""
    known = {name.removeprefix("qwen2."): value for name, value in values.items() if name.startswith("qwen2.")}
    hidden, heads = known["embedding_length"], known["attention.head_count"]
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "dtype": "bfloat16",
        "vocab_size": int(tensors["token_embd.weight"].shape[1]),
        "hidden_size": hidden,
        "intermediate_size": known["feed_forward_length"],
        "num_hidden_layers": known["block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": known.get("attention.head_count_kv", heads),
        "hidden_act": "silu",
        "max_position_embeddings": known["context_length"],
        "rms_norm_eps": known["attention.layer_norm_rms_epsilon"],
        "rope_theta": known["rope.freq_base"],
        "tie_word_embeddings": "output.weight" not in tensors,
        "use_sliding_window": False,
        "attention_dropout": 0.0,
        "bos_token_id": values.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": values["tokenizer.ggml.eos_token_id"],
        "pad_token_id": values.get("tokenizer.ggml.padding_token_id"),
    }


def _generation(values: Mapping[str, Any]) -> dict[str, Any]:
    """What ends an answer: the end of a turn, or of a text. No sampling: the method is greedy."""
    end, pad = values["tokenizer.ggml.eos_token_id"], values.get("tokenizer.ggml.padding_token_id")
    ends = sorted({end} | ({pad} if pad is not None else set()))
    return {"do_sample": False, "eos_token_id": ends, "pad_token_id": pad}


def _write_origin(folder: Path, gguf: Path, digest: str) -> None:
    known = next((entry for entry in CATALOG if entry.sha256 == digest), None)
    made = {
        "by": "eat model convert",
        "from": {"file": gguf.name, "sha256": digest, "catalog": known.name if known else None},
        "versions": versions(),
    }
    repo, revision = (known.hub_repo, known.hub_revision) if known else (None, None)
    write_manifest(folder, repo=repo or "", revision=revision or "", made=made)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
