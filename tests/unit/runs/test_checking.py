"""Doctor: pieces that no command shows on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eat_worker.runs import checking
from eat_worker.runs.checking import Check, doctor
from eat_worker.settings import Settings


def by_name(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in doctor(settings)}


def test_graphics_cards_are_named_as_the_driver_lists_them(tmp_path: Path) -> None:
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t NVIDIA H200\nIRQ: 5\n")
    assert list(checking._gpus(tmp_path)) == ["NVIDIA H200"]
    assert list(checking._gpus(tmp_path / "absent")) == []


def test_a_missing_engine_says_what_to_install(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check = by_name(settings)["engine"]
    assert (check.ok, check.fix) == (False, "pip install 'eat_worker[local]'")


def test_a_model_that_is_here_is_named_with_its_size(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"x" * 2_000_000)
    check = by_name(replace(settings, model=str(tmp_path / "m.gguf")))["model"]
    assert check.ok
    assert "m.gguf (2 MB)" in check.detail


def test_an_endpoint_is_named_without_its_password(settings: Settings) -> None:
    check = by_name(replace(settings, engine="endpoint", endpoint_url="https://u:canary@h/v1", endpoint_model="qwen"))[
        "model"
    ]
    assert check.ok
    assert check.detail == "qwen at https://u:***@h/v1"


def test_a_disk_without_room_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1_000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    assert by_name(settings)["disk"].ok is False


def test_a_fault_nobody_foresaw_becomes_a_line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr("shutil.disk_usage", broken)
    check = by_name(settings)["disk"]
    assert (check.ok, check.detail) == (False, "RuntimeError: surprise")
