"""Whether an adapter belongs to its base, and why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from eat_worker.errors import ConfigurationError
from eat_worker.models.adapter import AdapterCard, check_adapter, read_adapter, read_card, write_card
from eat_worker.models.fingerprint import file_sha256
from eat_worker.models.folder import folder_parts

ALL = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")


@pytest.fixture
def adapter(tiny_adapter_folder: Path, tmp_path: Path) -> Path:
    """An adapter of a test's own, to damage."""
    return Path(shutil.copytree(tiny_adapter_folder, tmp_path / "adapter"))


def configure(adapter: Path, **changes: Any) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_card(adapter: Path, **changes: Any) -> None:
    path = adapter / "eat_adapter.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def drop(adapter: Path, name: str) -> None:
    """Write the weights anew without one tensor, with a card that knows them."""
    tensors = load_file(adapter / "adapter_model.safetensors")
    del tensors[f"base_model.model.{name}"]
    save_file(tensors, adapter / "adapter_model.safetensors")
    change_card(adapter, weights=file_sha256(adapter / "adapter_model.safetensors", adapter))


def test_an_adapter_says_what_it_is(tiny_adapter_folder: Path) -> None:
    found = read_adapter(tiny_adapter_folder)
    assert (found.r, found.alpha, found.scale, found.targets) == (64, 16, 0.25, ALL)
    assert len(found.shapes) == 2 * 7 * 2
    assert found.shapes["model.layers.1.mlp.down_proj.lora_A.weight"] == (64, 256)
    assert found.shapes["model.layers.1.mlp.down_proj.lora_B.weight"] == (128, 64)


def test_an_adapter_that_belongs_to_its_base_is_taken(
    tiny_adapter_folder: Path, tiny_qwen_folder: Path, tmp_path: Path
) -> None:
    checked = check_adapter(tiny_adapter_folder, tiny_qwen_folder, tmp_path)
    assert checked.mixed == ()
    assert checked.weights == file_sha256(checked.adapter.file, tmp_path)
    assert checked.card is not None
    assert checked.card.base == "tiny-qwen"


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    card = AdapterCard("Qwen", "ab" * 32, "c" * 40, 64, 16, ALL, "cd" * 32, "ef" * 32, {"seed": 1})
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card
    change_card(tmp_path, results={"accuracy": 0.5})  # a later version's, or a person's
    assert read_card(tmp_path) == card


@pytest.mark.parametrize("change", [{"targets": None}, {"settings": None, "targets": 3}])
def test_a_card_that_is_none_is_refused(adapter: Path, change: dict[str, Any]) -> None:
    change_card(adapter, **change)
    with pytest.raises(ConfigurationError, match="is not an adapter card"):
        read_card(adapter)


def test_other_weights_of_the_same_shape_are_refused_and_allowed_mixed(
    tiny_models: ModuleType, adapter: Path, tmp_path: Path
) -> None:
    other = tiny_models.tiny_qwen(tmp_path / "other", seed=1)
    with pytest.raises(ConfigurationError, match=r"does not belong to .*made for tiny-qwen with weights") as refused:
        check_adapter(adapter, other, tmp_path)
    allowed = check_adapter(adapter, other, tmp_path, allow_mixed=True)
    assert len(allowed.mixed) == 1
    assert folder_parts(other, tmp_path)["weights"][:12] in allowed.mixed[0]
    assert allowed.mixed[0] in str(refused.value)


def test_an_adapter_without_a_card_is_mixed(adapter: Path, tiny_qwen_folder: Path, tmp_path: Path) -> None:
    (adapter / "eat_adapter.json").unlink()
    with pytest.raises(ConfigurationError, match=r"it has no eat_adapter\.json"):
        check_adapter(adapter, tiny_qwen_folder, tmp_path)
    assert check_adapter(adapter, tiny_qwen_folder, tmp_path, allow_mixed=True).card is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r": 32}, "its card says r = 32, its configuration 64"),
        ({"alpha": 128}, "its card says alpha = 128, its configuration 16"),
        ({"targets": ["q_proj"]}, r"its card says targets = \('q_proj',\)"),
        ({"weights": "0" * 64}, "its card says weights 000000000000, its file has"),
    ],
)
def test_a_card_that_says_otherwise_is_refused(
    adapter: Path, tiny_qwen_folder: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    change_card(adapter, **change)
    with pytest.raises(ConfigurationError, match=message):
        check_adapter(adapter, tiny_qwen_folder, tmp_path)


def test_missing_matrices_are_counted_and_never_allowed(adapter: Path, tiny_qwen_folder: Path, tmp_path: Path) -> None:
    drop(adapter, "model.layers.1.mlp.up_proj.lora_B.weight")
    with pytest.raises(ConfigurationError, match=r"lacks 1 of 28 .*layers\.1\.mlp\.up_proj\.lora_B"):
        check_adapter(adapter, tiny_qwen_folder, tmp_path, allow_mixed=True)


def test_a_tensor_the_base_has_no_use_for_is_refused(adapter: Path, tiny_qwen_folder: Path, tmp_path: Path) -> None:
    configure(adapter, target_modules=[name for name in ALL if name != "up_proj"])
    with pytest.raises(ConfigurationError, match=r"has 4 tensors .* does not use: model\.layers\.0\.mlp\.up_proj"):
        check_adapter(adapter, tiny_qwen_folder, tmp_path)


def test_a_rank_that_the_tensors_do_not_have_is_refused(adapter: Path, tiny_qwen_folder: Path, tmp_path: Path) -> None:
    configure(adapter, r=32)
    with pytest.raises(ConfigurationError, match=r"lora_A\.weight is \(64, 128\), \(32, 128\) is needed"):
        check_adapter(adapter, tiny_qwen_folder, tmp_path, allow_mixed=True)


def test_a_base_that_is_no_qwen_is_refused(adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(ConfigurationError, match="it is not a Qwen2"):
        check_adapter(adapter, tmp_path, tmp_path)


def test_pickled_weights_are_refused(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(ConfigurationError, match="is a pickle, which may run code"):
        read_adapter(adapter)
    (adapter / "adapter_model.bin").unlink()
    with pytest.raises(ConfigurationError, match=r"has no adapter_model\.safetensors; save"):
        read_adapter(adapter)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peft_type": "IA3"}, "only LORA can be used"),
        ({"use_dora": True}, "uses use_dora"),
        ({"use_rslora": True, "bias": "all"}, "uses bias, use_rslora"),
        ({"init_lora_weights": "pissa"}, "uses init_lora_weights"),
        ({"init_lora_weights": "olora"}, "uses init_lora_weights"),
        ({"layer_replication": [[0, 1]]}, "uses layer_replication"),
        ({"use_qalora": True}, "uses use_qalora"),
        ({"alora_invocation_tokens": [1]}, "uses alora_invocation_tokens"),
        ({"a_kind_of_next_year": {"on": 1}}, "uses a_kind_of_next_year"),
        ({"lora_alpha": float("nan")}, "lora_alpha = nan is not a number above 0"),
        ({"modules_to_save": ["lm_head"]}, "uses modules_to_save"),
        ({"r": 0}, "r = 0 is not a number above 0"),
        ({"lora_alpha": None}, "lora_alpha = None is not a number"),
        ({"target_modules": "all-linear"}, "is not a list of: down_proj"),
        ({"target_modules": []}, "is not a list of"),
        ({"target_modules": ["lm_head"]}, "is not a list of"),
    ],
)
def test_what_is_no_plain_lora_of_the_seven_matrices_is_refused(
    adapter: Path, change: dict[str, Any], message: str
) -> None:
    configure(adapter, **change)
    with pytest.raises(ConfigurationError, match=message):
        read_adapter(adapter)


def test_a_folder_without_peft_configuration_is_no_adapter(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"adapter_config\.json: cannot be read: No such file"):
        read_adapter(tmp_path)


def test_a_file_is_no_adapter_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        read_adapter(tmp_path / "nowhere")
