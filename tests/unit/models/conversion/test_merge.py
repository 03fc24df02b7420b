"""A merged folder answers as base and adapter do together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file

from eat_worker.errors import ConfigurationError, NumericFault
from eat_worker.models.adapter import read_card
from eat_worker.models.conversion.merge import merge
from eat_worker.models.folder import folder_parts
from eat_worker.models.installed import verify

# peft 0.21 asks transformers 5.23 by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


@pytest.fixture(scope="module")
def merged(tiny_qwen_folder: Path, tiny_adapter_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("merged")
    return merge(tiny_qwen_folder, tiny_adapter_folder, folder / "new", models_dir=folder)


def answers(folder: Path, adapter: Path | None = None) -> list[list[int]]:
    """Greedy tokens after a few prompts."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter).eval()
    prompts = [torch.arange(begin, begin + 12)[None] for begin in (40, 140, 240)]
    return [model.generate(input_ids=ids, max_new_tokens=24, do_sample=False)[0, 12:].tolist() for ids in prompts]


def test_a_merged_model_says_word_for_word_what_base_and_adapter_say(
    merged: Path, tiny_qwen_folder: Path, tiny_adapter_folder: Path
) -> None:
    together = answers(tiny_qwen_folder, tiny_adapter_folder)
    assert answers(merged) == together
    assert answers(tiny_qwen_folder) != together


def test_only_the_adapters_matrices_change_and_no_type_does(merged: Path, tiny_qwen_folder: Path) -> None:
    base, new = load_file(tiny_qwen_folder / "model.safetensors"), load_file(merged / "model.safetensors")
    changed = {name for name in base if not torch.equal(base[name], new[name])}
    assert changed == {name for name in base if name.endswith("_proj.weight")}
    assert {tensor.dtype for tensor in new.values()} == {torch.float32}
    assert (merged / "chat_template.jinja").read_text() == (tiny_qwen_folder / "chat_template.jinja").read_text()


def test_a_manifest_names_base_and_adapter(merged: Path, tiny_qwen_folder: Path, tiny_adapter_folder: Path) -> None:
    made = json.loads((merged / "eat-model.json").read_text())["made"]
    card = read_card(tiny_adapter_folder)
    assert card is not None
    assert made["by"] == "eat model merge"
    assert made["from"]["base"] == {"folder": "tiny-qwen", **folder_parts(tiny_qwen_folder, merged.parent)}
    assert made["from"]["adapter"] == {
        "folder": "tiny-adapter",
        "weights": card.weights,
        "r": 64,
        "alpha": 16,
        "data": "",
        "mixed": [],
    }
    assert verify(str(merged), merged.parent).matches


def test_bf16_stays_bf16_over_several_files(
    tiny_models: ModuleType, tiny_qwen_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Path(shutil.copytree(tiny_qwen_folder, tmp_path / "base"))
    weights = {name: tensor.bfloat16() for name, tensor in load_file(base / "model.safetensors").items()}
    (base / "model.safetensors").unlink()
    parts = {
        "model-00001-of-00002.safetensors": [name for name in weights if ".layers.0." in name],
        "model-00002-of-00002.safetensors": [name for name in weights if ".layers.0." not in name],
    }
    for file, names in parts.items():
        save_file({name: weights[name] for name in names}, base / file)
    places = {name: file for file, names in parts.items() for name in names}
    (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    adapter = tiny_models.tiny_adapter(base, tmp_path / "adapter", r=4, alpha=8)
    told: list[tuple[int, int, str]] = []
    new = merge(base, adapter, tmp_path / "new", models_dir=tmp_path, progress=lambda *heard: told.append(heard))
    lora = load_file(adapter / "adapter_model.safetensors")
    for file, names in parts.items():
        written = load_file(new / file)
        assert sorted(written) == sorted(names)
        assert {tensor.dtype for tensor in written.values()} == {torch.bfloat16}
    name = "model.layers.1.mlp.down_proj"
    a, b = (lora[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    expected = (weights[f"{name}.weight"].float() + 2.0 * (b @ a)).bfloat16()
    assert torch.equal(load_file(new / "model-00002-of-00002.safetensors")[f"{name}.weight"], expected)
    assert {what for _, _, what in told} == {"weights, file 1 of 2", "weights, file 2 of 2", "computing digests"}


def test_an_adapter_of_another_base_is_refused_and_written_down_when_allowed(
    tiny_models: ModuleType, tiny_adapter_folder: Path, tmp_path: Path
) -> None:
    other = tiny_models.tiny_qwen(tmp_path / "other", seed=1)
    with pytest.raises(ConfigurationError, match="does not belong to"):
        merge(other, tiny_adapter_folder, tmp_path / "new", models_dir=tmp_path)
    assert not (tmp_path / "new").exists()
    new = merge(other, tiny_adapter_folder, tmp_path / "new", models_dir=tmp_path, allow_mixed=True)
    (mixed,) = json.loads((new / "eat-model.json").read_text())["made"]["from"]["adapter"]["mixed"]
    assert "it was made for tiny-qwen" in mixed


def test_quantised_weights_are_never_merged_into(
    tiny_qwen_folder: Path, tiny_adapter_folder: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny_qwen_folder, tmp_path / "base"))
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"quantization_config": {"load_in_4bit": True}}))
    with pytest.raises(ConfigurationError, match="its weights are quantised; merge into the bf16 folder"):
        merge(base, tiny_adapter_folder, tmp_path / "new", models_dir=tmp_path)


def test_quantised_weights_are_known_by_their_type_too(
    tiny_qwen_folder: Path, tiny_adapter_folder: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny_qwen_folder, tmp_path / "base"))
    weights = load_file(base / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    save_file(weights | {name: weights[name].to(torch.uint8)}, base / "model.safetensors")
    with pytest.raises(ConfigurationError, match=r"up_proj\.weight of the base is torch\.uint8"):
        merge(base, tiny_adapter_folder, tmp_path / "new", models_dir=tmp_path, allow_mixed=True)
    assert not (tmp_path / "new").exists()


def test_an_adapter_that_is_not_numbers_is_refused(
    tiny_qwen_folder: Path, tiny_adapter_folder: Path, tmp_path: Path
) -> None:
    adapter = Path(shutil.copytree(tiny_adapter_folder, tmp_path / "adapter"))
    lora = load_file(adapter / "adapter_model.safetensors")
    lora["base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"][0, 0] = float("nan")
    save_file(lora, adapter / "adapter_model.safetensors")
    with pytest.raises(NumericFault, match=r"layers\.0\.mlp\.up_proj: base and adapter do not add up to numbers"):
        merge(tiny_qwen_folder, adapter, tmp_path / "new", models_dir=tmp_path, allow_mixed=True)
