"""An adapter as the GGUF file that llama.cpp loads: the same LoRA for the embedded engine.

Matrices are written as they are, in float32, or rounded to float16, which halves the file. llama.cpp keeps Qwen2's
queries and keys in the order of transformers, so nothing is permuted, as it would have to be for Llama.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from eat_worker.errors import ConfigurationError
from eat_worker.models.adapter import Adapter, read_adapter
from eat_worker.models.conversion import require_libraries
from eat_worker.models.conversion.building import building
from eat_worker.models.conversion.layout import to_gguf
from eat_worker.models.fingerprint import file_sha256
from eat_worker.models.partial import Progress, require_room, silent

Type = Literal["f32", "f16"]
"""What the numbers are written as; bfloat16 weights lose nothing in f32, and in f16 what is below 6e-8."""

_BYTES: dict[Type, int] = {"f32": 4, "f16": 2}


def export_gguf_lora(
    adapter: Path, out: Path, *, models_dir: Path, type_: Type = "f32", progress: Progress = silent
) -> Path:
    """Write the adapter in the folder `adapter` into the new file `out`; gives `out`.

    Raises ConfigurationError when `out` is there already or the adapter is no plain LoRA of a Qwen2's matrices,
    ModelError when the disk refuses.
    """
    require_libraries()
    read = read_adapter(adapter)
    names = {name: _gguf_name(read, name) for name in sorted(read.shapes)}
    unpaired = [name for name in names if _other_side(name) not in names]
    if unpaired or not names:
        raise ConfigurationError(f"{adapter}: LoRA matrices come in pairs; {unpaired[:1] or 'all'} are missing")
    with building(out, progress) as temporary:
        _write(read, names, temporary, file_sha256(read.file, models_dir), type_, progress)
    return out


def _write(  # noqa: PLR0917  # all of them needed
    adapter: Adapter, names: dict[str, str], path: Path, digest: str, type_: Type, progress: Progress
) -> None:
    from gguf import GGUFWriter
    from safetensors import safe_open

    # llama.cpp compares this with the model the adapter is put on.
    writer = GGUFWriter(path, "qwen2")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(adapter.alpha))
    writer.add_name(adapter.folder.resolve().name)
    writer.add_string("eat_worker.adapter_sha256", digest)
    with safe_open(adapter.file, framework="pt") as lora:
        for number, (name, written_as) in enumerate(names.items(), start=1):
            matrix = lora.get_tensor(f"base_model.model.{name}").float()
            writer.add_tensor(written_as, (matrix.half() if type_ == "f16" else matrix).numpy())
            progress(number, len(names), "matrices")
    require_room(
        path.parent, sum(_BYTES[type_] * rows * columns for rows, columns in adapter.shapes.values()), path.name
    )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_name(adapter: Adapter, name: str) -> str:
    """`model.layers.0.self_attn.q_proj.lora_A.weight` -> `blk.0.attn_q.weight.lora_a`."""
    matrix, _, side = name.removesuffix(".weight").rpartition(".")
    found = to_gguf(f"{matrix}.weight")
    if found is None or side not in ("lora_A", "lora_B"):
        raise ConfigurationError(f"{adapter.folder}: {name} belongs to no matrix of a Qwen2")
    return f"{found}.{side.lower()}"


def _other_side(name: str) -> str:
    return name.replace("lora_A", "lora_B") if "lora_A" in name else name.replace("lora_B", "lora_A")
