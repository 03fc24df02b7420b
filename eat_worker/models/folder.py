"""What identifies a folder of safetensors weights: the digests of its parts, and which tensors its files hold.

Reads headers and hashes files with the standard library; large files are remembered as `fingerprint.file_sha256` does
it. Loads no model library: `eat submit` identifies an engine through here.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from eat_worker.errors import ConfigurationError
from eat_worker.models.fingerprint import file_sha256, fingerprint

_TOKENIZER: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
)
_HEADER_LIMIT = 100_000_000  # bytes; safetensors itself refuses longer ones


def folder_parts(folder: Path, cache_dir: Path) -> dict[str, str]:
    """SHA-256 (hex) of each thing that can change an answer: weights, config, tokenizer, chat_template.

    Weights in one file have the digest of that file. Digests are remembered in `cache_dir`. Raises ConfigurationError
    when the folder is no model: no safetensors weights, no configuration, no tokenizer or no chat template.
    """
    weights = {path.name: file_sha256(path, cache_dir) for path in weight_files(folder)}
    tokenizer = {name: _sha256(folder / name) for name in _TOKENIZER if (folder / name).is_file()}
    if "tokenizer.json" not in tokenizer and "vocab.json" not in tokenizer:
        raise ConfigurationError(f"{folder}: has no tokenizer (tokenizer.json)")
    return {
        "weights": next(iter(weights.values())) if len(weights) == 1 else fingerprint(weights),
        "config": fingerprint({name: _sha256(folder / name) for name in _configs(folder)}),
        "tokenizer": fingerprint(tokenizer),
        "chat_template": hashlib.sha256(chat_template(folder).encode()).hexdigest(),
    }


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that the folder's index names, or model.safetensors. Raises ConfigurationError."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(dict(read_json(index).get("weight_map", {})).values()))
    else:
        names = ["model.safetensors"]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not names:
        raise ConfigurationError(f"{folder}: is not a folder of safetensors weights: it lacks {', '.join(missing)}")
    return [folder / name for name in names]


def chat_template(folder: Path) -> str:
    """The chat template as transformers finds it: its own file before the tokenizer's. Raises ConfigurationError."""
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    described = folder / "tokenizer_config.json"
    template = read_json(described).get("chat_template") if described.is_file() else None
    if not isinstance(template, str):
        raise ConfigurationError(f"{folder}: has no chat template; use an instruct model")
    return template


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a safetensors file, from its header. Raises ConfigurationError."""
    return {name: tuple(tensor["shape"]) for name, tensor in _header(path).items()}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises ConfigurationError when it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: is not a JSON object")
    return value


def _header(path: Path) -> Mapping[str, Any]:
    """A safetensors file begins with the length of its header (8 bytes, little-endian) and the header as JSON."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(min(length, _HEADER_LIMIT)))
        tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
        end = max(tensor["data_offsets"][1] for tensor in tensors.values())
        whole = path.stat().st_size == 8 + length + end
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path}: is not a safetensors file: {error}") from error
    if not whole:
        raise ConfigurationError(f"{path}: is cut short; fetch or make it again")
    return tensors


def _configs(folder: Path) -> list[str]:
    if not (folder / "config.json").is_file():
        raise ConfigurationError(f"{folder}: has no config.json")
    # What ends an answer, and penalties that greedy decoding applies too, stand in the second.
    return [name for name in ("config.json", "generation_config.json") if (folder / name).is_file()]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
