"""What the qwen engine is, by the folders that its settings name; and that settings open it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eat_worker.engines.identity import engine_identity, served_queues
from eat_worker.engines.loading import open_engine
from eat_worker.errors import ConfigurationError, ModelMissing
from eat_worker.models.adapter import CARD
from eat_worker.settings import Settings, load_settings

Make = Callable[..., Settings]


@pytest.fixture
def settings_of(tmp_path: Path, tiny_qwen_folder: Path) -> Make:
    """Settings of the qwen engine with the tiny model."""

    def make(**overrides: Any) -> Settings:
        known = {
            "engine": "qwen",
            "model": str(tiny_qwen_folder),
            "models_dir": str(tmp_path / "models"),
            "context": 512,
            "slots": 2,
            **overrides,
        }
        return load_settings(known, directory=tmp_path, environ={"HOME": str(tmp_path)})

    return make


def test_everything_that_can_change_an_answer_is_in_the_identity(settings_of: Make) -> None:
    detail = engine_identity(settings_of()).detail
    assert {name for name, value in detail.items() if isinstance(value, str) and len(value) == 64} == {
        "weights",
        "config",
        "tokenizer",
        "chat_template",
        "prompts",
    }
    assert (detail["engine"], detail["quantisation"], detail["adapter"]) == ("qwen", "nf4", None)


def test_adapter_quantisation_and_determinism_make_another_fingerprint(
    settings_of: Make, tiny_adapter_folder: Path
) -> None:
    variants = [
        settings_of(),
        settings_of(quantisation="none"),
        settings_of(deterministic=True),
        settings_of(adapter=str(tiny_adapter_folder)),
    ]
    assert len({engine_identity(settings).fingerprint for settings in variants}) == 4
    queues = [served_queues(settings) for settings in variants]
    assert all(one.isdisjoint(other) for at, one in enumerate(queues) for other in queues[:at])


def test_slots_context_and_device_make_none(settings_of: Make) -> None:
    known = engine_identity(settings_of()).fingerprint
    for same in (settings_of(slots=9), settings_of(context=256), settings_of(device="cpu")):
        assert engine_identity(same).fingerprint == known


def foreign(adapter: Path, folder: Path) -> Path:
    """The adapter with a card that names other weights."""
    shutil.copytree(adapter, folder)
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, "base": "another", "base_weights": "f" * 64}))
    return folder


def test_an_adapter_of_another_base_is_refused_with_the_reason(
    settings_of: Make, tiny_adapter_folder: Path, tmp_path: Path
) -> None:
    settings = settings_of(adapter=str(foreign(tiny_adapter_folder, tmp_path / "foreign")))
    for call in (engine_identity, served_queues, open_engine):
        with pytest.raises(ConfigurationError, match="it was made for another with weights ffffffffffff"):
            call(settings)


def test_allowed_all_the_same_it_is_recorded(settings_of: Make, tiny_adapter_folder: Path, tmp_path: Path) -> None:
    adapter = str(foreign(tiny_adapter_folder, tmp_path / "foreign"))
    detail = engine_identity(settings_of(adapter=adapter, allow_mixed=True)).detail
    assert len(detail["mixed"]) == 1
    assert detail["mixed"][0].startswith("it was made for another with weights ffffffffffff")


def test_a_file_or_a_missing_folder_is_not_for_qwen(settings_of: Make, tmp_path: Path) -> None:
    gguf = tmp_path / "one.gguf"
    gguf.write_bytes(b"weights")
    with pytest.raises(ConfigurationError, match="is one file; the qwen engine needs a folder: eat model convert"):
        engine_identity(settings_of(model=str(gguf)))
    with pytest.raises(ModelMissing, match=r"run: eat model pull qwen2\.5-0\.5b-instruct"):
        engine_identity(settings_of(model="qwen2.5-0.5b-instruct"))


def test_settings_open_the_engine(settings_of: Make, tiny_adapter_folder: Path) -> None:
    engine = open_engine(settings_of(adapter=str(tiny_adapter_folder), device="cpu", quantisation="none"))
    try:
        assert (engine.info.kind, engine.info.slots, engine.info.constrained) == ("qwen", 2, True)
        assert engine.info.detail["quantisation"] == "none"
    finally:
        engine.close()
