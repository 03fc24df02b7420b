"""Loads the frozen base of a training run: fresh from its folder, in 4 bits or in bf16.

On CPUs with AVX512-BF16 bitsandbytes repacks 4-bit weights at the first forward pass outside of training mode, and
training on them fails afterwards. So a base is loaded for training alone, and one that has answered is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from eat_worker.errors import ConfigurationError


def load_base(folder: Path, precision: str) -> Any:
    """A causal model on the GPU, or on the CPU where there is none. `precision`: nf4 or bf16.

    Raises ConfigurationError when the folder holds no such model.
    """
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers' own; standard error belongs to the command line
    quantised = {
        "quantization_config": BitsAndBytesConfig(  # type: ignore[no-untyped-call]  # transformers' own
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    }
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.bfloat16,
            device_map={"": "cuda" if torch.cuda.is_available() else "cpu"},
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            **(quantised if precision == "nf4" else {}),
        )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(f"{folder}: the weights cannot be loaded: {error}") from error
    model.requires_grad_(False)
    return model


def refuse_repacked(model: torch.nn.Module) -> None:
    """Raises ConfigurationError when the model's 4-bit weights were repacked for inference."""
    for name, weight in model.named_parameters():
        if getattr(getattr(weight, "quant_state", None), "packing_format_for_cpu", False):
            raise ConfigurationError(f"{name} is repacked for inference; train in a new process")
