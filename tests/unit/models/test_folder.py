"""What identifies a folder of weights, and what its files say of themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.models.folder import (
    chat_template,
    folder_parts,
    tensor_shapes,
    weight_files,
)

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc"


def model(folder: Path) -> Path:
    """A folder with the files of a model, none of which means anything."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"abc")
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("abc")
    return folder


def safetensors(path: Path, shape: tuple[int, int]) -> None:
    """A file with one float32 tensor."""
    size = 4 * shape[0] * shape[1]
    header = json.dumps(
        {"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}
    )
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(size))


def test_one_file_of_weights_has_the_digest_of_the_file(tmp_path: Path) -> None:
    parts = folder_parts(model(tmp_path / "m"), tmp_path)
    assert parts["weights"] == ABC
    assert parts["chat_template"] == ABC
    assert sorted(parts) == ["chat_template", "config", "tokenizer", "weights"]


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("model.safetensors", "weights"),
        ("config.json", "config"),
        ("generation_config.json", "config"),
        ("tokenizer.json", "tokenizer"),
        ("tokenizer_config.json", "tokenizer"),
        ("chat_template.jinja", "chat_template"),
    ],
)
def test_every_file_that_can_change_an_answer_changes_its_part_alone(tmp_path: Path, file: str, part: str) -> None:
    folder = model(tmp_path / "m")
    parts = folder_parts(folder, tmp_path)
    (folder / file).write_text('{"other": 1}')
    changed = folder_parts(folder, tmp_path)
    assert [name for name in parts if parts[name] != changed[name]] == [part]


def test_other_files_and_the_folders_name_change_nothing(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    parts = folder_parts(folder, tmp_path)
    (folder / "README.md").write_text("hello")
    assert folder_parts(folder.rename(tmp_path / "other"), tmp_path) == parts


def test_digests_of_weights_are_remembered(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    folder_parts(folder, tmp_path / "cache")
    remembered = json.loads((tmp_path / "cache" / ".digests.json").read_text())
    assert [entry[2] for entry in remembered.values()] == [ABC]


def test_the_index_says_which_files_are_the_weights(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    for name in ("a.safetensors", "b.safetensors"):
        safetensors(folder / name, (2, 3))
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"x": "b.safetensors", "y": "a.safetensors", "z": "a.safetensors"}})
    )
    assert [path.name for path in weight_files(folder)] == ["a.safetensors", "b.safetensors"]
    assert folder_parts(folder, tmp_path)["weights"] != ABC
    (folder / "b.safetensors").unlink()
    with pytest.raises(ConfigurationError, match=r"lacks b\.safetensors"):
        weight_files(folder)


def test_a_template_may_stand_in_the_tokenizers_configuration(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    (folder / "tokenizer_config.json").write_text('{"chat_template": "inside"}')
    assert chat_template(folder) == "abc"
    (folder / "chat_template.jinja").unlink()
    assert chat_template(folder) == "inside"


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("model.safetensors", r"lacks model\.safetensors"),
        ("config.json", r"no config\.json"),
        ("tokenizer.json", "no tokenizer"),
        ("chat_template.jinja", "no chat template"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, missing: str, message: str) -> None:
    folder = model(tmp_path / "m")
    (folder / missing).unlink()
    with pytest.raises(ConfigurationError, match=message):
        folder_parts(folder, tmp_path)


def test_a_safetensors_header_is_read_without_the_library(tmp_path: Path) -> None:
    safetensors(tmp_path / "w.safetensors", (5, 7))
    assert tensor_shapes(tmp_path / "w.safetensors") == {"w": (5, 7)}


def test_a_safetensors_file_that_is_cut_short_or_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors(path, (5, 7))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ConfigurationError, match="cut short"):
        tensor_shapes(path)
    for content in (b"", b"GGUF", (2).to_bytes(8, "little") + b"{}", (9**20).to_bytes(8, "little") + b"{}"):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match="is not a safetensors file"):
            tensor_shapes(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        tensor_shapes(tmp_path / "nowhere")


@pytest.mark.parametrize(("content", "message"), [("[", "is not JSON:"), ("[]", "is not a JSON object")])
def test_a_configuration_that_does_not_parse_is_refused(tmp_path: Path, content: str, message: str) -> None:
    folder = model(tmp_path / "m")
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        chat_template(folder)
