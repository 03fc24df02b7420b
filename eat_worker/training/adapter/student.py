"""The frozen base with the adapter that is being trained: its loss, its weights, and how a step changes them.

It stays in training mode, which without dropout computes the same. On CPUs with AVX512-BF16 bitsandbytes repacks 4-bit
weights at the first forward pass outside of training mode, and training on them fails afterwards. So a base is loaded
for training alone, fresh from its folder, and one that has answered is refused. It answers nothing.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from eat_worker.errors import ConfigurationError, NumericFault
from eat_worker.models.adapter import Adapter, read_adapter
from eat_worker.training.adapter.batches import passes, tensors
from eat_worker.training.adapter.examples import Example
from eat_worker.training.adapter.recipe import PROJECTIONS, Recipe


class Student:
    """A base model with a new adapter, or with the one in the folder `start`, which has to have the recipe's r.

    The adapter computes in bf16, as it will at work; AdamW changes float32 copies of its weights, because steps smaller
    than bf16 can write would be lost. Raises ConfigurationError when the base cannot be loaded or have the adapter.
    """

    def __init__(self, base: Path, recipe: Recipe, start: Path | None = None) -> None:
        self._recipe, self._base = recipe, base
        self._causal = load_base(base, recipe.base_precision)
        self.device: torch.device = self._causal.device
        self._peft = _with_adapter(self._causal, recipe)
        if start is not None:
            _go_on_from(self._peft, read_adapter(start), recipe)
        if self.device.type == "cuda":  # activations of all layers would not fit beside a large base
            self._causal.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self._causal.train()
        self._small = [weight for weight in self._causal.parameters() if weight.requires_grad]
        self._master = [weight.detach().float().clone() for weight in self._small]
        for weight in self._small:
            weight.data = weight.data.to(torch.bfloat16)
        self._adamw = torch.optim.AdamW(self._master, lr=recipe.learning_rate, weight_decay=0.0)

    def learn(self, step: Sequence[Example], learning_rate: float) -> float:
        """One step over these chats; the mean loss per answer token (nats) before it.

        Raises NumericFault when that is no number, ConfigurationError when the base has answered in between.
        """
        refuse_repacked(self._causal)
        learnt = sum(example.learnt for example in step)
        total = 0.0
        for weight in self._master:
            weight.grad = None
        for group in passes(step, self._recipe.at_once):
            loss = self._loss(group) / learnt
            total += float(loss.detach())
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            self._collect()
        if total != total:  # noqa: PLR0124  # not a number
            raise NumericFault("the loss is not a number; lower the learning rate")
        torch.nn.utils.clip_grad_norm_(self._master, self._recipe.clip)
        for settings in self._adamw.param_groups:
            settings["lr"] = learning_rate
        self._adamw.step()
        self._copy_back()
        return total

    def look(self, chats: Sequence[Example]) -> float:
        """The mean loss per answer token (nats) of chats that are not learnt from."""
        with torch.no_grad():
            total = sum(float(self._loss(group)) for group in passes(chats, self._recipe.at_once))
        return total / sum(example.learnt for example in chats)

    def save(self, folder: Path) -> None:
        """Write the adapter as peft has it: adapter_model.safetensors and adapter_config.json."""
        self._peft.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)  # peft's empty form
        _name_base(folder / "adapter_config.json", self._base)

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on as if nothing had happened."""
        return {"weights": self._master, "adamw": self._adamw.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        with torch.no_grad():
            for weight, kept in zip(self._master, state["weights"], strict=True):
                weight.copy_(kept)
        self._adamw.load_state_dict(state["adamw"])
        self._copy_back()

    def _loss(self, group: Sequence[Example]) -> torch.Tensor:
        """The summed loss of all answer tokens of a group.

        The head computes those places only: all places times 152,000 words would be most of the work.
        """
        batch = tensors(group, self.device)
        hidden = self._causal.get_decoder()(input_ids=batch.ids, use_cache=False).last_hidden_state
        logits = self._causal.lm_head(hidden[batch.rows, batch.columns])  # (answers, words)
        return torch.nn.functional.cross_entropy(logits.float(), batch.wanted, reduction="sum")

    def _collect(self) -> None:
        for weight, master in zip(self._small, self._master, strict=True):
            if weight.grad is not None:
                master.grad = weight.grad.float() if master.grad is None else master.grad.add_(weight.grad)
                weight.grad = None

    def _copy_back(self) -> None:
        with torch.no_grad():
            for weight, master in zip(self._small, self._master, strict=True):
                weight.copy_(master)


def _with_adapter(causal: Any, recipe: Recipe) -> Any:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(recipe.seed)  # A is drawn at random
    config = LoraConfig(
        r=recipe.r,
        lora_alpha=recipe.alpha,
        lora_dropout=0.0,
        target_modules=list(PROJECTIONS),
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers in a way that will go
            return get_peft_model(causal, config)
    except ValueError as error:
        raise ConfigurationError(f"the base model cannot have the adapter: {error}; train on a Qwen2 model") from error


def _go_on_from(peft: Any, adapter: Adapter, recipe: Recipe) -> None:
    """Put the adapter's weights into the new one. Raises ConfigurationError on another r, alpha or other matrices."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    if (adapter.r, adapter.alpha, adapter.targets) != (recipe.r, recipe.alpha, tuple(sorted(PROJECTIONS))):
        raise ConfigurationError(f"{adapter.folder}: r = {adapter.r}, alpha = {adapter.alpha} are not the recipe's")
    loaded: Any = set_peft_model_state_dict(peft, load_file(adapter.file))
    if loaded.unexpected_keys:
        raise ConfigurationError(f"{adapter.folder} does not fit the base: {loaded.unexpected_keys[0]}")


def _name_base(config: Path, base: Path) -> None:
    """The base by its name in the place of its path on this machine, and the same bytes every time."""
    values = json.loads(config.read_text(encoding="utf-8"))
    values["base_model_name_or_path"] = base.resolve().name.removesuffix("-hf")
    values["target_modules"] = sorted(values["target_modules"])  # peft has a set
    config.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


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
