"""An adapter added into its base: a folder of weights that any server loads without knowing of LoRA.

Works on the files, one at a time, and never on a loaded model. A 4-bit layer of bitsandbytes may have rearranged its
weights for the CPU after its first answer, and merging into those gives garbage without an error; here there is no
layer. Merging into 4-bit weights is refused: it would round the adapter away.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eat_worker.errors import ConfigurationError, NumericFault
from eat_worker.models.adapter import Adapter, CheckedAdapter, check_adapter
from eat_worker.models.conversion import require_libraries, versions
from eat_worker.models.conversion.building import building
from eat_worker.models.conversion.shards import save_tensors
from eat_worker.models.folder import folder_parts, read_json, weight_files
from eat_worker.models.manifest import MANIFEST, read_manifest, write_manifest
from eat_worker.models.partial import Progress, require_room, silent

if TYPE_CHECKING:
    import torch

_BESIDE = 50_000_000  # bytes: tokenizer, configuration and some room to spare
_COPIED = (".json", ".jinja", ".txt")


def merge(
    base: Path,
    adapter: Path,
    out: Path,
    *,
    models_dir: Path,
    allow_mixed: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write `base` with W + (alpha / r) B A for every matrix W of the adapter into the new folder `out`; gives `out`.

    Sums are made in float32 and written as the base has them (bf16, float16 or float32). `models_dir` is where digests
    are remembered. Raises ConfigurationError when `out` is there, the adapter does not belong to the base (see
    `check_adapter`), or the base is quantised; NumericFault when a sum is no number; ModelError when the disk refuses.
    """
    require_libraries()
    _demand_unquantised(base)
    checked = check_adapter(adapter, base, models_dir, allow_mixed=allow_mixed)
    files = weight_files(base)
    with building(out, progress) as folder:
        require_room(folder.parent, sum(file.stat().st_size for file in files) + _BESIDE, out.name)
        folder.mkdir()
        for path in sorted(base.iterdir()):
            if path.is_file() and path.suffix in _COPIED and path.name != MANIFEST and not path.name.startswith("."):
                shutil.copyfile(path, folder / path.name)
        _write_weights(files, checked.adapter, folder, progress)
        progress(0, 0, "computing digests")
        _write_origin(folder, base, checked, models_dir)
    return out


def _demand_unquantised(base: Path) -> None:
    if read_json(base / "config.json").get("quantization_config"):
        raise ConfigurationError(f"{base}: its weights are quantised; merge into the bf16 folder they were made from")


def _write_weights(files: list[Path], adapter: Adapter, folder: Path, progress: Progress) -> None:
    """Write each file of the base anew, with the adapter added."""
    from safetensors import safe_open

    total, done = sum(file.stat().st_size for file in files), 0
    with safe_open(adapter.file, framework="pt") as lora:
        for number, file in enumerate(files, start=1):
            tensors: dict[str, torch.Tensor] = {}
            with safe_open(file, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118  # an opened file is no mapping
                    tensors[name] = _merged(name, weights.get_tensor(name), lora, adapter)
                    done += tensors[name].nbytes
                    progress(done, total, f"weights, file {number} of {len(files)}")
            save_tensors(tensors, folder / file.name)


def _merged(name: str, weight: torch.Tensor, lora: Any, adapter: Adapter) -> torch.Tensor:
    """A tensor of the base, (out, in), with its part of the adapter added where it has one."""
    import torch

    if weight.dtype not in (torch.bfloat16, torch.float16, torch.float32):
        raise ConfigurationError(f"{name} of the base is {weight.dtype}; merge into bf16, float16 or float32 weights")
    matrix = name.removesuffix(".weight")
    if f"{matrix}.lora_A.weight" not in adapter.shapes:
        return weight
    a, b = (lora.get_tensor(f"base_model.model.{matrix}.lora_{side}.weight").float() for side in "AB")
    merged: torch.Tensor = (weight.float() + adapter.scale * (b @ a)).to(weight.dtype)
    if not bool(merged.isfinite().all()):
        raise NumericFault(f"{matrix}: base and adapter do not add up to numbers; the adapter is damaged")
    return merged


def _write_origin(folder: Path, base: Path, checked: CheckedAdapter, models_dir: Path) -> None:
    manifest = read_manifest(base)
    made = {
        "by": "eat model merge",
        "from": {
            "base": {"folder": base.name, **folder_parts(base, models_dir)},
            "adapter": {
                "folder": checked.adapter.folder.name,
                "weights": checked.weights,
                "r": checked.adapter.r,
                "alpha": checked.adapter.alpha,
                "data": checked.card.data if checked.card else "",
                "mixed": list(checked.mixed),
            },
        },
        "versions": versions(),
    }
    repo, revision = (manifest.repo, manifest.revision) if manifest else ("", "")
    write_manifest(folder, repo=repo, revision=revision, made=made)
