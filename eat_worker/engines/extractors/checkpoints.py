"""Folders of transformers weights for extractors: what they must hold, which batches are made, where they run.

Knows the tokenizer loader; knows no kind of model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eat_worker.errors import ConfigurationError, ModelMissing

_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")


def require_checkpoint(folder: Path) -> Path:
    """The folder itself. Raises ModelMissing when it is none or lacks its config, tokenizer or safetensors weights."""
    if not folder.is_dir():
        raise ModelMissing(f"{folder}: no such folder; give a folder with config.json, tokenizer and safetensors")
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise ModelMissing(f"{folder} lacks config.json or weights in safetensors form")
    # transformers makes an empty tokenizer up where it finds none, and every word is unknown to it.
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise ModelMissing(f"{folder} lacks its tokenizer ({', '.join(_TOKENIZERS)})")
    return folder


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder. Raises ConfigurationError when it cannot tell which word a piece belongs to."""
    from transformers import AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped in transformers; stderr is for messages
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder}: its tokenizer cannot be loaded: {error}") from error
    if not tokenizer.is_fast:
        raise ConfigurationError(f"{folder} has no tokenizer.json; save it with a fast tokenizer")
    return tokenizer


def device() -> str:
    """Where models run: the first CUDA device, else the CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def batches_by_length(lengths: Sequence[int], batch: int) -> list[list[int]]:
    """The places of all non-empty items in batches of like length, the longest first: what cannot fit fails at once."""
    order = sorted((place for place, length in enumerate(lengths) if length), key=lambda place: -lengths[place])
    return [order[begin : begin + batch] for begin in range(0, len(order), batch)]
