"""A base model and its adapter, loaded from local folders, checked, and called.

Only safetensors, only bf16 or float32 arithmetic, no code from the folder. Whatever does not fit together is refused
with the reason: transformers and peft only warn. Knows torch, transformers, peft and bitsandbytes; knows no request.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from eat_worker.engines.qwen.kv_cache import KVCache, Shape, Window
from eat_worker.errors import ConfigurationError

log = logging.getLogger(__name__)

QUANTISATIONS = ("nf4", "none")
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
MEMORY_FRACTION = 0.90  # of a GPU; the rest is for what is not torch's


class Weights:
    """A loaded causal model on one device. `adapted` are its layers with an adapter, which is on.

    Only the first `vocabulary` logits are of tokens. Raises ConfigurationError when such a model cannot be run here.
    """

    def __init__(self, causal: Any, adapted: Sequence[Any], *, vocabulary: int, dtype: torch.dtype) -> None:
        self.causal, self._adapted, self._vocabulary = causal.eval(), adapted, vocabulary
        self._body = causal.get_decoder()
        self._on = True
        self.device: torch.device = causal.device
        config = causal.config
        if set(getattr(config, "layer_types", ["full_attention"])) != {"full_attention"}:
            raise ConfigurationError("the model's layers use sliding-window attention, which the qwen engine lacks")
        self.context: int = config.max_position_embeddings
        self.ends = _ends(causal)
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.shape = Shape(config.num_hidden_layers, config.num_key_value_heads, size, dtype, self.device)

    def logits(self, ids: torch.Tensor, last: torch.Tensor, window: Window) -> torch.Tensor:
        """The logits, (sequences, vocabulary) float32, after query `last[i]`; `ids` is (sequences, queries)."""
        hidden = self._body(
            input_ids=ids,
            attention_mask=window.mask(),
            position_ids=window.positions,
            past_key_values=window,
            use_cache=True,
        ).last_hidden_state
        sequences = torch.arange(len(ids), device=self.device)
        logits: torch.Tensor = self.causal.lm_head(hidden[sequences, last])
        return logits[:, : self._vocabulary].float()

    def use_adapter(self, on: bool) -> None:
        """Switch the fine-tuned weights on or off for the calls that follow."""
        if on != self._on:
            for layer in self._adapted:
                layer.enable_adapters(on)
            self._on = on

    @torch.inference_mode()
    def probe(self, ids: Sequence[int]) -> None:
        """Run a short prompt, which also warms the kernels up. Raises ConfigurationError when the logits are not all
        numbers.
        """
        for on in (True, False) if self._adapted else (False,):
            self.use_adapter(on)
            window = KVCache(self.shape, 1, len(ids)).window(0, self._row(range(len(ids))), len(ids))
            logits = self.logits(self._row(ids), self._row([len(ids) - 1])[0], window)
            if not bool(logits.isfinite().all()):
                part = "with its adapter" if on else "without an adapter"
                raise ConfigurationError(f"the model {part} computes logits that are not numbers; its weights are bad")

    def _row(self, numbers: Sequence[int]) -> torch.Tensor:
        return torch.tensor([list(numbers)], device=self.device)

    def free_tokens(self) -> int:
        """How many tokens of keys and values fit the memory that is left."""
        if self.device.type != "cuda":
            return _CPU_BYTES // self.shape.bytes_per_token
        total = torch.cuda.get_device_properties(self.device).total_memory
        left = MEMORY_FRACTION * total - torch.cuda.memory_allocated(self.device) - _WORKING_BYTES
        return max(0, int(left)) // self.shape.bytes_per_token


def load_weights(
    base: Path, adapter: Path | None, *, vocabulary: int, device: str, quantisation: str, dtype: str
) -> Weights:
    """A base model in a folder, with the adapter of another if any.

    `quantisation` nf4: the linear layers in NF4, double-quantised, computed in `dtype`; embeddings and head stay as
    they are. Raises ConfigurationError when folders and settings do not fit together.
    """
    place, arithmetic = _device(device), _dtype(dtype)
    causal = _load_base(base, place, quantisation, arithmetic)
    adapted = [] if adapter is None else _load_adapter(causal, adapter, arithmetic)
    return Weights(causal, adapted, vocabulary=vocabulary, dtype=arithmetic)


_CPU_BYTES = 2 << 30
_WORKING_BYTES = 1 << 30  # for what one pass computes: a dequantised layer, activations, logits


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError(f"device = {name!r} is not one of: auto, cpu, cuda, cuda:0, ...") from error
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ConfigurationError(f"device = {name}: torch finds no CUDA device; use device = cpu or auto")
        torch.cuda.set_per_process_memory_fraction(MEMORY_FRACTION, device)
    return device


def _dtype(name: str) -> torch.dtype:
    if name in ("float16", "fp16", "half"):
        raise ConfigurationError("float16 overflows with Qwen's weights; use bfloat16")
    if name not in DTYPES:
        raise ConfigurationError(f"dtype = {name!r} is not one of: {', '.join(DTYPES)}")
    return DTYPES[name]


def _load_base(folder: Path, device: torch.device, quantisation: str, dtype: torch.dtype) -> Any:
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM

    if not any(folder.glob("*.safetensors")):
        raise ConfigurationError(f"{folder}: no .safetensors file there; the qwen engine reads no other weights")
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                device_map={"": device},
                attn_implementation="sdpa",
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **_quantised(config, quantisation, dtype, folder),
            )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ConfigurationError(f"{folder}: the weights cannot be loaded: {error}") from error
    model, report = loaded
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if report.get(kind):
            raise ConfigurationError(f"{folder}: the weights do not fit its config.json: {kind} {_some(report[kind])}")
    return model


def _quantised(config: Any, quantisation: str, dtype: torch.dtype, folder: Path) -> dict[str, Any]:
    """What tells transformers how to quantise. Weights that lie quantised already came from an arithmetic of their own,
    which the fingerprint does not know.
    """
    if quantisation not in QUANTISATIONS:
        raise ConfigurationError(f"quantisation = {quantisation!r} is not one of: {', '.join(QUANTISATIONS)}")
    if getattr(config, "quantization_config", None) is not None:
        raise ConfigurationError(f"{folder}: its weights are quantised already; use the folder they were made from")
    if quantisation == "none":
        return {}
    from transformers import BitsAndBytesConfig

    nf4: Any = BitsAndBytesConfig  # its constructor has no types
    return {
        "quantization_config": nf4(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    }


def _load_adapter(causal: Any, folder: Path, dtype: torch.dtype) -> list[Any]:
    """Put the adapter into the model's layers; gives those that have one."""
    from peft import PeftModel, get_peft_model_state_dict
    from peft.tuners.lora import LoraLayer
    from safetensors import safe_open

    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        raise ConfigurationError(
            f"{folder}: no adapter_model.safetensors there; the adapter must be a peft LoRA folder"
        )
    try:
        with _quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what peft warns about is refused below
            model = PeftModel.from_pretrained(causal, folder, is_trainable=False, autocast_adapter_dtype=False)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ConfigurationError(f"{folder}: the adapter does not fit the base model: {error}") from error
    with safe_open(file, framework="pt") as tensors:
        given = set(tensors.keys())
    wanted = set(get_peft_model_state_dict(model))
    for words, keys in (("lacks", wanted - given), ("has in excess", given - wanted)):
        if keys:
            raise ConfigurationError(f"{folder}: the adapter does not fit the base model: it {words} {_some(keys)}")
    layers = [layer for layer in causal.modules() if isinstance(layer, LoraLayer)]
    for layer in layers:  # trained in float32, and in that twice as large and several times as slow as the base
        for name in layer.adapter_layer_names:
            getattr(layer, name).to(dtype)
    return layers


def _ends(causal: Any) -> frozenset[int]:
    """The tokens that end an answer: <|im_end|> and <|endoftext|>."""
    ends = causal.generation_config.eos_token_id or causal.config.eos_token_id
    if ends is None:
        raise ConfigurationError("the model's generation_config.json names no eos_token_id; an answer could not end")
    return frozenset([ends] if isinstance(ends, int) else ends)


def _some(keys: Any) -> str:
    listed = sorted(str(key) for key in keys)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars: standard error belongs to the command line."""
    from transformers.utils import logging as transformers_logging

    bars: Any = transformers_logging  # has no types
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()
