"""`eat model convert|merge|export-gguf-lora` with a tiny model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from eat_worker.models import conversion

Eat = Callable[..., Any]


@pytest.fixture
def models(tmp_path: Path, tiny_gguf_file: Path, tiny_qwen_folder: Path, tiny_adapter_folder: Path) -> Path:
    """A models folder with a GGUF file in it; base and adapter beside it."""
    (tmp_path / "m").mkdir()
    shutil.copyfile(tiny_gguf_file, tmp_path / "m" / "tiny.gguf")
    shutil.copytree(tiny_qwen_folder, tmp_path / "base")
    shutil.copytree(tiny_adapter_folder, tmp_path / "adapter")
    return tmp_path / "m"


def test_a_model_is_converted_once_and_then_known_by_its_name(eat: Eat, models: Path) -> None:
    done = eat("model", "convert", "tiny", "--models-dir", "m")
    assert (done.code, done.out) == (0, f"{models / 'tiny-hf'}\n")
    assert "weights, file 1 of 1" in done.err
    listed = json.loads(eat("model", "list", "--models-dir", "m", "--json").out)["models"]
    assert "tiny-hf" in {model["name"] for model in listed}
    assert eat("model", "verify", "tiny-hf", "--models-dir", "m").code == 0
    again = eat("model", "convert", "tiny", "--models-dir", "m")
    assert again.code == 78
    assert "tiny-hf exists already; remove it, or name another place with --out" in again.err
    folder = eat("model", "convert", "tiny-hf", "--models-dir", "m")
    assert folder.code == 78
    assert "is a folder of safetensors weights already" in folder.err


def test_conversion_as_json(eat: Eat, models: Path) -> None:
    done = eat("model", "convert", "m/tiny.gguf", "--out", "new", "--models-dir", "m", "--json")
    said = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert sorted(said) == ["made", "path", "seconds", "size"]
    assert said["path"] == "new"
    assert said["size"] == sum(path.stat().st_size for path in Path("new").iterdir())
    assert said["made"]["from"]["file"] == "tiny.gguf"


def test_an_adapter_is_merged_into_its_base(eat: Eat, models: Path) -> None:
    done = eat("model", "merge", "./base", "adapter", "--out", "merged", "--models-dir", "m")
    assert (done.code, done.out) == (0, "merged\n")
    said = json.loads(eat("model", "merge", "./base", "adapter", "--out", "more", "--models-dir", "m", "--json").out)
    assert said["made"]["from"]["adapter"]["r"] == 64
    wrong = eat("model", "merge", "tiny", "adapter", "--out", "new", "--models-dir", "m")
    assert wrong.code == 78
    assert "merge into a safetensors folder: eat model convert tiny" in wrong.err


def test_an_adapter_of_another_base_is_merged_only_when_told_to(
    eat: Eat, models: Path, tiny_models: ModuleType, tmp_path: Path
) -> None:
    tiny_models.tiny_qwen(tmp_path / "other", seed=1)
    words = ("model", "merge", "./other", "adapter", "--out", "new", "--models-dir", "m", "--json")
    refused = eat(*words)
    assert refused.code == 78
    assert "does not belong to other" in json.loads(refused.out)["error"]["message"]
    allowed = json.loads(eat(*words, "--allow-mixed").out)
    assert len(allowed["made"]["from"]["adapter"]["mixed"]) == 1


def test_an_adapter_is_written_for_llama_cpp(eat: Eat, models: Path) -> None:
    done = eat("model", "export-gguf-lora", "adapter", "--out", "lora.gguf", "--models-dir", "m", "--json")
    said = json.loads(done.out)
    assert (done.code, said["path"], said["size"]) == (0, "lora.gguf", Path("lora.gguf").stat().st_size)
    assert Path("lora.gguf").read_bytes()[:4] == b"GGUF"
    missing = eat("model", "export-gguf-lora", "nowhere", "--out", "new.gguf")
    assert missing.code == 78
    assert "nowhere: no such folder" in missing.err


def test_a_missing_library_is_named_with_what_to_install(
    eat: Eat, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "NEEDED", ("no_such_library",))
    done = eat("model", "convert", "tiny", "--models-dir", "m")
    assert done.code == 78
    assert "no_such_library is not installed; run: pip install 'eat_worker[gpu]'" in done.err
