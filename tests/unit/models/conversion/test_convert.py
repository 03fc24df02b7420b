"""A GGUF file becomes the folder it could have been made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from eat_worker.errors import ConfigurationError, ModelError
from eat_worker.models import conversion
from eat_worker.models.conversion import convert as module
from eat_worker.models.conversion.convert import convert
from eat_worker.models.conversion.shards import write_shards
from eat_worker.models.fingerprint import file_sha256
from eat_worker.models.installed import installed, verify
from eat_worker.models.partial import silent

SENTENCES = (
    "Angela Merkel besuchte Wolfsburg.",
    "김연아는 서울에서 금메달을 받았다.",
    "東京大学 1931年 – it's 北京!",
    "Владимир Путин,\n\n  زار أحمد   القاهرة",
    "<|im_end|>\n<|im_start|>system <tool_call>x</tool_call>",
)


@pytest.fixture(scope="module")
def converted(tiny_gguf_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    return convert(tiny_gguf_file, folder / "tiny-hf", models_dir=folder)


def with_changes(given: Path, out: Path, drop: tuple[str, ...] = (), **values: Any) -> Path:
    """The same GGUF file with other values of its head, or without some tensors."""
    reader = gguf.GGUFReader(given)
    writer = gguf.GGUFWriter(out, "qwen2")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", *drop):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        key = name.replace(".", "_")
        writer.add_key_value(name, values.pop(key, field.contents()), kind, inner)
    for name, value in values.items():
        writer.add_string(name.replace("__", "."), value)
    for tensor in reader.tensors:
        if tensor.name not in drop:
            writer.add_tensor(tensor.name, np.array(tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def test_weights_are_those_of_the_file_in_bf16(converted: Path, tiny_qwen_folder: Path) -> None:
    weights, original = load_file(converted / "model.safetensors"), load_file(tiny_qwen_folder / "model.safetensors")
    assert sorted(weights) == sorted(original)
    for name, tensor in original.items():
        assert torch.equal(weights[name], tensor.to(torch.bfloat16)), name


def test_configuration_is_that_of_the_model(converted: Path, tiny_qwen_folder: Path) -> None:
    config = json.loads((converted / "config.json").read_text())
    original = json.loads((tiny_qwen_folder / "config.json").read_text())
    assert config.pop("rms_norm_eps") == pytest.approx(original.pop("rms_norm_eps"), rel=1e-6)  # GGUF has it in float32
    assert config == original | {"dtype": "bfloat16"}
    generation = json.loads((converted / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [original["pad_token_id"], original["eos_token_id"]]


def test_tokenizer_and_template_give_the_ids_of_the_original(converted: Path, tiny_qwen_folder: Path) -> None:
    from transformers import AutoTokenizer

    ours, original = AutoTokenizer.from_pretrained(converted), AutoTokenizer.from_pretrained(tiny_qwen_folder)
    assert ours("<|fim_prefix|>")["input_ids"] == original("<|fim_prefix|>")["input_ids"]
    for sentence in SENTENCES:
        assert ours(sentence)["input_ids"] == original(sentence)["input_ids"]
        # Read as plain text, control tokens fall apart and user-defined ones stay, as in llama.cpp.
        plain = ours(sentence, split_special_tokens=True)["input_ids"]
        assert plain == original(sentence, split_special_tokens=True)["input_ids"]
    chat = [
        {"role": "user", "content": "서울"},
        {"role": "assistant", "content": "Seoul"},
        {"role": "user", "content": "?"},
    ]
    kwargs = {"add_generation_prompt": True, "return_dict": False}
    assert ours.apply_chat_template(chat, **kwargs) == original.apply_chat_template(chat, **kwargs)
    assert (ours.eos_token, ours.pad_token) == ("<|im_end|>", "<|endoftext|>")


def test_a_converted_model_loads_without_a_word_and_answers(
    converted: Path, tiny_qwen_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from transformers import AutoModelForCausalLM

    ids = torch.arange(20)[None]
    said = []
    for folder in (converted, tiny_qwen_folder):
        model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, output_loading_info=True)
        assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        said.append(model.generate(ids, max_new_tokens=8, do_sample=False).tolist())
    assert said[0] == said[1]
    assert caplog.messages == []


def test_a_manifest_says_where_the_folder_came_from(converted: Path, tiny_gguf_file: Path) -> None:
    manifest = json.loads((converted / "eat-model.json").read_text())
    digest = file_sha256(tiny_gguf_file, converted.parent)
    assert manifest["made"]["by"] == "eat model convert"
    assert manifest["made"]["from"] == {"file": "tiny.gguf", "sha256": digest, "catalog": None}
    assert {"eat_worker", "gguf", "torch"} <= set(manifest["made"]["versions"])
    assert [model.name for model in installed(converted.parent)] == ["tiny-hf"]
    assert verify("tiny-hf", converted.parent).matches
    weights = converted / "model.safetensors"
    assert weights.stat().st_mode == (converted / "config.json").stat().st_mode


def test_a_file_of_the_catalog_is_known_by_its_digest(
    tiny_gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
    monkeypatch.setattr(module, "file_sha256", lambda path, cache: digest)
    convert(tiny_gguf_file, tmp_path / "new", models_dir=tmp_path)
    manifest = json.loads((tmp_path / "new" / "eat-model.json").read_text())
    assert manifest["made"]["from"]["catalog"] == "qwen2.5-coder-0.5b-instruct-q4_k_m"
    assert manifest["repo"] == "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF"
    assert manifest["revision"] == "bf1da6ca8f02b444067db175f02a14e74f49c5c0"


def test_shared_embeddings_stay_shared(tiny_gguf_file: Path, tmp_path: Path) -> None:
    file = with_changes(tiny_gguf_file, tmp_path / "tied.gguf", drop=("output.weight",))
    folder = convert(file, tmp_path / "tied", models_dir=tmp_path)
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is True
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")


@pytest.mark.parametrize(
    ("drop", "values", "message"),
    [
        (("blk.1.ffn_up.weight",), {}, r"it lacks 1 tensors, such as blk\.1\.ffn_up\.weight"),
        ((), {"qwen2_block_count": 1}, r"tensors that such a Qwen2 does not have: blk\.1\.attn_k\.bias"),
        ((), {"qwen2__rope__scaling__type": "yarn"}, "its positions are scaled"),
        ((), {"tokenizer_ggml_pre": "llama-bpe"}, "its tokenizer is gpt2/llama-bpe"),
        (("tokenizer.chat_template",), {}, "no chat template"),
        (("tokenizer.ggml.eos_token_id",), {}, "a damaged GGUF file"),
    ],
)
def test_what_is_no_whole_qwen_is_refused_and_leaves_nothing(
    tiny_gguf_file: Path, tmp_path: Path, drop: tuple[str, ...], values: dict[str, Any], message: str
) -> None:
    file = with_changes(tiny_gguf_file, tmp_path / "other.gguf", drop=drop, **values)
    with pytest.raises(ModelError, match=message):
        convert(file, tmp_path / "new", models_dir=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".digests.json", "other.gguf"]


def test_a_vocabulary_unlike_qwens_is_refused(tiny_gguf_file: Path, tmp_path: Path) -> None:
    kinds = gguf.GGUFReader(tiny_gguf_file).fields["tokenizer.ggml.token_type"].contents()
    for other, message in ((6, r"tokens of kind \[6\]"), (3, "do not follow the other tokens")):
        changed = {"tokenizer_ggml_token_type": [other, *kinds[1:]]}
        file = with_changes(tiny_gguf_file, tmp_path / f"{other}.gguf", **changed)
        with pytest.raises(ModelError, match=message):
            convert(file, tmp_path / "new", models_dir=tmp_path)


def test_a_file_cut_short_is_refused(tiny_gguf_file: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(tiny_gguf_file.read_bytes()[:-2000])
    with pytest.raises(ModelError, match="a damaged GGUF file"):
        convert(tmp_path / "cut.gguf", tmp_path / "new", models_dir=tmp_path)


def test_another_architecture_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "other.gguf", "llama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelError, match="its architecture is llama; only qwen2"):
        convert(tmp_path / "other.gguf", tmp_path / "new", models_dir=tmp_path)


def test_missing_libraries_are_named_with_what_to_install(
    tiny_gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "NEEDED", ("torch", "no_such_library"))
    with pytest.raises(
        ConfigurationError, match=r"no_such_library is not installed; run: pip install 'eat_worker\[gpu\]'"
    ):
        convert(tiny_gguf_file, tmp_path / "new", models_dir=tmp_path)


def test_a_module_that_no_package_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "NEEDED", ("gguf", "json"))
    assert conversion.versions()["json"] == "unknown"


def test_large_weights_are_shared_out_over_files_with_an_index(tmp_path: Path) -> None:
    sizes = {"a": 40, "b": 40, "c": 400, "d": 8}
    told: list[tuple[int, int]] = []
    write_shards(
        tmp_path,
        sizes,
        lambda name: (name.upper(), torch.zeros(sizes[name] // 2, dtype=torch.bfloat16)),
        lambda done, total, what: told.append((done, total)),
        limit=100,
    )
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index == {
        "metadata": {"total_size": 488},
        "weight_map": {
            "A": "model-00001-of-00003.safetensors",
            "B": "model-00001-of-00003.safetensors",
            "C": "model-00002-of-00003.safetensors",
            "D": "model-00003-of-00003.safetensors",
        },
    }
    assert list(load_file(tmp_path / "model-00002-of-00003.safetensors")) == ["C"]
    assert told == [(40, 488), (80, 488), (480, 488), (488, 488)]


def test_weights_that_fit_one_file_need_no_index(tmp_path: Path) -> None:
    write_shards(tmp_path, {"a": 2}, lambda name: (name, torch.zeros(1, dtype=torch.bfloat16)), silent)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
