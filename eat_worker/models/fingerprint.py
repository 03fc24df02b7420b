"""What identifies weights and a way of running them: digests of files, the head of a GGUF file, one hash for a setup.

Knows no catalog and no network. Digests of large files are remembered, so that a worker starts without reading them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eat_worker.errors import ModelError

DIGESTS_FILE = ".digests.json"


def fingerprint(detail: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of `detail` as canonical JSON: the order of keys does not matter, every value does.

    Raises TypeError or ValueError on what JSON cannot say, NaN included: it would not compare equal to itself.
    """
    text = json.dumps(detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path, cache_dir: Path, *, fresh: bool = False) -> str:
    """SHA-256 (hex) of a file, remembered in `cache_dir` by path, size and modification time (ns).

    `fresh` reads the file whatever is remembered. Raises OSError when the file cannot be read.
    """
    before = _stamp(path)
    if not fresh:
        known = _read_digests(cache_dir).get(str(path.resolve()))
        if known is not None and known[:2] == list(before):
            return str(known[2])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    # A file that grew while it was read has a digest of nothing in particular.
    if _stamp(path) == before:
        remember_sha256(path, digest, cache_dir)
    return digest


def remember_sha256(path: Path, digest: str, cache_dir: Path) -> None:
    """Note the digest of `path` as it lies there now; files that are gone are forgotten."""
    digests = {name: known for name, known in _read_digests(cache_dir).items() if Path(name).exists()}
    digests[str(path.resolve())] = [*_stamp(path), digest]
    # A cache that cannot be written costs seconds at the next start and nothing else.
    with contextlib.suppress(OSError):
        _write_digests(cache_dir, digests)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _read_digests(cache_dir: Path) -> dict[str, list[Any]]:
    try:
        digests = json.loads((cache_dir / DIGESTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(digests, dict):
        return {}
    return {name: known for name, known in digests.items() if isinstance(known, list) and len(known) == 3}


def _write_digests(cache_dir: Path, digests: Mapping[str, list[Any]]) -> None:
    cache_dir.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=cache_dir, prefix=DIGESTS_FILE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(digests, file, indent=1, sort_keys=True)
    Path(temporary).replace(cache_dir / DIGESTS_FILE)


@dataclass(frozen=True, slots=True)
class GgufHead:
    """What a GGUF file says of itself. None where it says nothing."""

    path: Path
    #: In bytes.
    size: int
    version: int
    tensors: int
    name: str | None
    architecture: str | None
    #: In tokens.
    context_length: int | None
    file_type: str | None
    has_chat_template: bool


# GGUF value types by number: struct codes of the fixed-size ones; 8 is a string, 9 an array.
_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING: Final = 8
_ARRAY: Final = 9
_FILE_TYPES: Final = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 32: "BF16",
}  # fmt: skip


def describe_gguf(path: Path) -> GgufHead:
    """The head of a GGUF file (version 2 or 3). Raises ModelError when it is no such file or is cut short."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(24)
            if start[:4] != b"GGUF":
                raise ModelError(f"{path}: not a GGUF file: it starts with {start[:4]!r}, not b'GGUF'")
            version, tensors, pairs = struct.unpack("<IQQ", start[4:24])
            if version not in (2, 3):
                raise ModelError(f"{path}: GGUF version {version}; this program reads versions 2 and 3")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                values = _read_pairs(data, pairs)
    except OSError as fault:
        raise ModelError(f"{path}: cannot be read: {fault.strerror or fault}") from fault
    except (struct.error, UnicodeDecodeError, IndexError, OverflowError) as fault:
        raise ModelError(f"{path}: a damaged or truncated GGUF file: its head does not parse") from fault
    return _head(path, size, version, tensors, values)


def _head(path: Path, size: int, version: int, tensors: int, values: Mapping[str, Any]) -> GgufHead:
    architecture = _text(values.get("general.architecture"))
    file_type = values.get("general.file_type")
    context_length = values.get(f"{architecture}.context_length")
    return GgufHead(
        path=path,
        size=size,
        version=version,
        tensors=tensors,
        name=_text(values.get("general.name")),
        architecture=architecture,
        context_length=context_length if isinstance(context_length, int) else None,
        file_type=None if file_type is None else _FILE_TYPES.get(file_type, f"type {file_type}"),
        has_chat_template="tokenizer.chat_template" in values,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _read_pairs(data: mmap.mmap, count: int) -> dict[str, Any]:
    """Keys with their scalar or string values; arrays (the vocabulary) are stepped over and read as None."""
    values: dict[str, Any] = {}
    at = 24
    for _ in range(count):
        key, at = _read_string(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        values[key], at = _read_value(data, at + 4, kind)
    return values


def _read_value(data: mmap.mmap, at: int, kind: int) -> tuple[Any, int]:
    if kind == _STRING:
        return _read_string(data, at)
    if kind == _ARRAY:
        return None, _skip_array(data, at)
    if kind not in _SCALARS:
        raise struct.error(f"unknown value type {kind}")
    code = "<" + _SCALARS[kind]
    return struct.unpack_from(code, data, at)[0], at + struct.calcsize(code)


def _read_string(data: mmap.mmap, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, at)
    end = at + 8 + length
    if end > len(data):
        raise struct.error("a string runs past the end of the file")
    return data[at + 8 : end].decode(), end


def _skip_array(data: mmap.mmap, at: int) -> int:
    kind, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if kind in _SCALARS:
        return int(at + count * struct.calcsize("<" + _SCALARS[kind]))
    if kind != _STRING:
        raise struct.error(f"an array of value type {kind}")
    length_at = struct.Struct("<Q").unpack_from
    for _ in range(count):
        at += 8 + length_at(data, at)[0]
    return at
