"""A LoRA adapter in a peft folder: its card, and whether it belongs to the base model it is put on.

Reads JSON and safetensors headers with the standard library; loads no weights. Knows Qwen2's matrices and nothing of
training or of how an engine applies an adapter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from eat_worker.errors import ConfigurationError
from eat_worker.models.conversion.layout import PROJECTIONS
from eat_worker.models.fingerprint import file_sha256
from eat_worker.models.folder import folder_parts, read_json, tensor_shapes

CARD: Final = "eat_adapter.json"
WEIGHTS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"
_PREFIX: Final = "base_model.model."  # peft's own around every name of the base
# What a plain LoRA of the matrices may say; a setting that is not listed must be unset. It lists what is understood and
# not what is forbidden: peft gains kinds of LoRA that compute otherwise, or belong to changed base weights (PiSSA).
_FREE: Final = frozenset(
    {"base_model_name_or_path", "revision", "r", "lora_alpha", "lora_dropout", "target_modules", "task_type"}
    | {"inference_mode", "auto_mapping", "peft_version", "megatron_core", "qalora_group_size"}
)
_ALLOWED: Final[Mapping[str, tuple[Any, ...]]] = {
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian"),  # the others change the base, or start from its weights
}


@dataclass(frozen=True, slots=True)
class AdapterCard:
    """What an adapter was made from; lies beside it as `eat_adapter.json`."""

    #: What people call the base.
    base: str
    #: The part `weights` of `folder_parts(base)`.
    base_weights: str
    base_revision: str
    r: int
    alpha: float
    targets: tuple[str, ...]
    #: SHA-256 of the adapter's own file.
    weights: str
    #: SHA-256 of what it learnt from, "" where unknown.
    data: str = ""
    #: Whatever its training wants to be known.
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Adapter:
    """A plain LoRA as its configuration and its file describe it.

    `targets` are the short names of the changed matrices (q_proj, ...), sorted; `shapes` the shapes of its tensors by
    the base's names of the matrices: (r, in) under `....lora_A.weight`, (out, r) under `....lora_B.weight`.
    """

    folder: Path
    r: int
    alpha: float
    targets: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def file(self) -> Path:
        """The file with the weights."""
        return self.folder / WEIGHTS

    @property
    def scale(self) -> float:
        """What B A x is multiplied by before it is added."""
        return self.alpha / self.r


@dataclass(frozen=True, slots=True)
class CheckedAdapter:
    """An adapter that may be used. `mixed` says in what it does not belong to its base, empty unless that was allowed.

    `weights` is the SHA-256 of its file; `card` is None where it has none.
    """

    adapter: Adapter
    weights: str
    card: AdapterCard | None
    mixed: tuple[str, ...]


def write_card(folder: Path, card: AdapterCard) -> None:
    """Write the card beside the adapter."""
    (folder / CARD).write_text(json.dumps(asdict(card), indent=1), encoding="utf-8")


def read_card(folder: Path) -> AdapterCard | None:
    """The card of an adapter; None where there is none. Names it does not know are passed over.

    Raises ConfigurationError when it does not parse.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    values = read_json(path)
    try:
        known = {name: values[name] for name in AdapterCard.__dataclass_fields__ if name in values}
        return AdapterCard(**{**known, "targets": tuple(known["targets"])})
    except (TypeError, KeyError) as error:
        raise ConfigurationError(f"{path}: is not an adapter card: {error}") from error


def read_adapter(folder: Path) -> Adapter:
    """The adapter in a folder, by its configuration and the header of its file.

    Raises ConfigurationError when the folder has no safetensors adapter, or one that is no plain LoRA of the seven
    matrices.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder; an adapter is a folder that peft wrote")
    config = read_json(folder / CONFIG)
    _demand_plain_lora(folder, config)
    if not (folder / WEIGHTS).is_file():
        pickled = (folder / "adapter_model.bin").exists()
        why = " adapter_model.bin is a pickle, which may run code, and is not read;" if pickled else ""
        raise ConfigurationError(f"{folder}: has no {WEIGHTS};{why} save the adapter as safetensors")
    targets = config.get("target_modules")
    short = {module.rpartition(".")[2] for module in PROJECTIONS}
    if not isinstance(targets, list) or not targets or not set(targets) <= short:
        raise ConfigurationError(f"{folder}: target_modules = {targets!r} is not a list of: {', '.join(sorted(short))}")
    shapes = {name.removeprefix(_PREFIX): shape for name, shape in tensor_shapes(folder / WEIGHTS).items()}
    return Adapter(folder, config["r"], config["lora_alpha"], tuple(sorted(targets)), shapes)


def _demand_plain_lora(folder: Path, config: Mapping[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise ConfigurationError(f"{folder}: peft_type = {config.get('peft_type')!r}; only LORA can be used")
    used = [name for name, value in config.items() if not _is_plain(name, value)]
    if used:
        raise ConfigurationError(f"{folder}: the adapter uses {', '.join(used)}; only plain LoRA can be used")
    for name in ("r", "lora_alpha"):
        value = config.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ConfigurationError(f"{folder}: {name} = {config.get(name)!r} is not a number above 0")


def _is_plain(name: str, value: object) -> bool:
    if name == "peft_type" or name in _FREE:
        return True
    return value in _ALLOWED[name] if name in _ALLOWED else not value


def check_adapter(folder: Path, base: Path, cache_dir: Path, *, allow_mixed: bool = False) -> CheckedAdapter:
    """The adapter, if it belongs to the weights in the folder `base`.

    Raises ConfigurationError with every reason why it does not: no card, made for other weights, another r or alpha
    or other weights than the card says. `allow_mixed` puts these into `CheckedAdapter.mixed` instead; what cannot work
    at all (missing LoRA matrices, other shapes, no plain LoRA) is refused all the same. Digests are remembered in
    `cache_dir`.
    """
    adapter = read_adapter(folder)
    _demand_fit(adapter, base)
    weights, card = file_sha256(adapter.file, cache_dir), read_card(folder)
    mixed = tuple(_mismatches(adapter, weights, card, folder_parts(base, cache_dir)["weights"]))
    if mixed and not allow_mixed:
        raise ConfigurationError(f"{folder} does not belong to {base}: {'; '.join(mixed)}")
    return CheckedAdapter(adapter, weights, card, mixed)


def _mismatches(adapter: Adapter, weights: str, card: AdapterCard | None, base_weights: str) -> Iterator[str]:
    if card is None:
        yield f"it has no {CARD}, so nothing says which weights it was made for"
        return
    if card.base_weights != base_weights:
        yield f"it was made for {card.base} with weights {card.base_weights[:12]}, these are {base_weights[:12]}"
    for name in ("r", "alpha", "targets"):
        said, found = getattr(card, name), getattr(adapter, name)
        if (tuple(sorted(said)) if name == "targets" else said) != found:
            yield f"its card says {name} = {said}, its configuration {found}"
    if card.weights != weights:
        yield f"its card says weights {card.weights[:12]}, its file has {weights[:12]}"


def _demand_fit(adapter: Adapter, base: Path) -> None:
    expected = dict(_expected(adapter, read_json(base / "config.json"), base))
    missing = sorted(expected.keys() - adapter.shapes.keys())
    if missing:
        raise ConfigurationError(
            f"{adapter.folder} lacks {len(missing)} of {len(expected)} LoRA matrices for {base}, such as {missing[0]}"
        )
    excess = sorted(adapter.shapes.keys() - expected.keys())
    if excess:
        raise ConfigurationError(f"{adapter.folder} has {len(excess)} tensors that {base} does not use: {excess[0]}")
    for name, shape in expected.items():
        if adapter.shapes[name] != shape:
            raise ConfigurationError(
                f"{adapter.folder} does not fit {base}: {name} is {adapter.shapes[name]}, {shape} is needed"
            )


def _expected(adapter: Adapter, config: Mapping[str, Any], base: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Names and shapes of the LoRA matrices that a base of that configuration needs."""
    try:
        shapes = _projection_shapes(config)
        layers = range(config["num_hidden_layers"])
    except KeyError as error:
        raise ConfigurationError(f"{base}: its config.json has no {error}; it is not a Qwen2") from error
    for layer in layers:
        for module, (out, into) in shapes.items():
            if module.rpartition(".")[2] in adapter.targets:
                name = f"model.layers.{layer}.{module}"
                yield f"{name}.lora_A.weight", (adapter.r, into)
                yield f"{name}.lora_B.weight", (out, adapter.r)


def _projection_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """(out, in) of the seven matrices of a layer."""
    hidden, heads, wide = config["hidden_size"], config["num_attention_heads"], config["intermediate_size"]
    size = config.get("head_dim") or hidden // heads
    queries, values = heads * size, config.get("num_key_value_heads", heads) * size
    shapes = [(queries, hidden), (values, hidden), (values, hidden), (hidden, queries)]
    return dict(zip(PROJECTIONS, [*shapes, (wide, hidden), (wide, hidden), (hidden, wide)], strict=True))
