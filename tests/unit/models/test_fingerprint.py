"""Digests of files and set-ups, and the head of GGUF files."""

import json
import os
import struct
from pathlib import Path

import pytest

from eat_worker.errors import ModelError
from eat_worker.models.fingerprint import DIGESTS_FILE, describe_gguf, file_sha256, fingerprint, remember_sha256

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of b"abc", FIPS 180-2
EMPTY_OBJECT = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # SHA-256 of b"{}"


def test_fingerprint_is_the_digest_of_canonical_json() -> None:
    assert fingerprint({}) == EMPTY_OBJECT


def test_order_of_keys_does_not_change_a_fingerprint() -> None:
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})


def test_every_value_changes_a_fingerprint() -> None:
    assert fingerprint({"temperature": 0}) != fingerprint({"temperature": 1})


def test_nan_has_no_fingerprint() -> None:
    with pytest.raises(ValueError, match="JSON"):
        fingerprint({"x": float("nan")})


def test_a_file_has_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"abc")
    assert file_sha256(path, tmp_path / "cache") == ABC


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"abc")
    remember_sha256(path, "f" * 64, tmp_path)
    assert file_sha256(path, tmp_path) == "f" * 64


def test_fresh_reads_whatever_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"abc")
    remember_sha256(path, "f" * 64, tmp_path)
    assert file_sha256(path, tmp_path, fresh=True) == ABC
    assert file_sha256(path, tmp_path) == ABC


@pytest.mark.parametrize("change", ["length", "time"])
def test_a_changed_file_is_read_again(tmp_path: Path, change: str) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"abcd" if change == "time" else b"ab")
    os.utime(path, ns=(1, 1_000_000_000))
    remember_sha256(path, "f" * 64, tmp_path)
    path.write_bytes(b"abc")
    os.utime(path, ns=(1, 1_000_000_001 if change == "time" else 1_000_000_000))
    assert file_sha256(path, tmp_path) == ABC


@pytest.mark.parametrize("content", ["{", "[]", '{"x": 3}', ""])
def test_a_broken_cache_costs_time_only(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"abc")
    (tmp_path / DIGESTS_FILE).write_text(content)
    assert file_sha256(path, tmp_path) == ABC


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"abc")
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    assert file_sha256(path, blocked) == ABC


def test_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    first, second = tmp_path / "1.bin", tmp_path / "2.bin"
    first.write_bytes(b"abc")
    second.write_bytes(b"abc")
    file_sha256(first, tmp_path)
    first.unlink()
    file_sha256(second, tmp_path)
    assert list(json.loads((tmp_path / DIGESTS_FILE).read_text())) == [str(second.resolve())]


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(*pairs: bytes, version: int = 3, tensors: int = 2) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, len(pairs)) + b"".join(pairs)


PAIRS = (
    text("general.architecture") + struct.pack("<I", 8) + text("qwen2"),
    text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("") + text("日本"),
    text("tokenizer.ggml.token_type") + struct.pack("<IIQ3i", 9, 5, 3, 1, 1, 1),
    text("general.name") + struct.pack("<I", 8) + text("Tiny Qwen"),
    text("qwen2.context_length") + struct.pack("<II", 4, 32768),
    text("general.file_type") + struct.pack("<II", 4, 15),
    text("tokenizer.ggml.add_bos_token") + struct.pack("<IB", 7, 0),
    text("tokenizer.chat_template") + struct.pack("<I", 8) + text("{{ messages }}"),
)


def test_the_head_of_a_gguf_file_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf(*PAIRS))
    head = describe_gguf(path)
    assert (head.version, head.tensors, head.name, head.architecture) == (3, 2, "Tiny Qwen", "qwen2")
    assert (head.context_length, head.file_type, head.has_chat_template) == (32768, "Q4_K_M", True)
    assert head.size == path.stat().st_size


def test_a_silent_head_is_all_none(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf())
    head = describe_gguf(path)
    assert (head.name, head.architecture, head.context_length, head.file_type) == (None, None, None, None)
    assert not head.has_chat_template


def test_an_unknown_file_type_keeps_its_number(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf(text("general.file_type") + struct.pack("<II", 4, 999)))
    assert describe_gguf(path).file_type == "type 999"


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 a zip archive, not weights", b"<html>"], ids=["empty", "zip", "html"]
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a GGUF file"):
        describe_gguf(path)


@pytest.mark.parametrize("length", [10, 24, 40, 60, 90, 130, 300])
def test_a_file_cut_short_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf(*PAIRS)[:length])
    with pytest.raises(ModelError, match="damaged or truncated"):
        describe_gguf(path)


@pytest.mark.parametrize(
    "pair",
    [
        struct.pack("<Q", 2**63) + b"a key longer than any file",
        text("x") + struct.pack("<I", 77),
        text("x") + struct.pack("<IIQ", 9, 9, 1),
        text("x") + struct.pack("<IIQ", 9, 8, 2**60),
        text("x") + struct.pack("<IIQ", 9, 10, 2**62) + text("y") + struct.pack("<I", 4),
    ],
    ids=["long key", "unknown type", "array of arrays", "endless array", "array past the end"],
)
def test_nonsense_in_the_head_is_refused(tmp_path: Path, pair: bytes) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf(pair, pair))
    with pytest.raises(ModelError, match="damaged or truncated"):
        describe_gguf(path)


def test_an_old_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf(version=1))
    with pytest.raises(ModelError, match="GGUF version 1"):
        describe_gguf(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.gguf: cannot be read: No such file"):
        describe_gguf(tmp_path / "none.gguf")
