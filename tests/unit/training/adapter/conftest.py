"""A handful of EACL pairs, and runs on the tiny model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eat_worker.method.config import MethodConfig
from eat_worker.training.adapter.recipe import PRESETS, Limits, Recipe
from eat_worker.training.adapter.tuning import Job
from eat_worker.training.eacl.pairs import EaclPair

PAIRS = [
    EaclPair("ko", "Seoul", "서울", "서울은 대한민국의 수도이다.", "서울"),
    EaclPair("de", "Cologne", "Köln", "Köln liegt am Rhein.", "Köln"),
    EaclPair("ru", "Moscow", "Москва", "Москва — столица России.", "Москва"),
    EaclPair("zh", "Beijing", "北京", "北京是中国的首都。", "北京"),
    EaclPair("de", "Munich", "München", "Die Isar fließt durch München.", "München"),
    EaclPair("ko", "Busan", "부산", "한국의 항구 도시 부산은 바다에 있다.", "부산"),
]


@pytest.fixture
def pairs() -> list[EaclPair]:
    return list(PAIRS)


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair.to_json()) + "\n" for pair in PAIRS), encoding="utf-8")
    return path


@pytest.fixture
def small_recipe() -> Recipe:
    """Four passes of two chats a step over bf16 weights; seed 2 holds out two of the six pages."""
    return replace(
        PRESETS["paper"],
        base_precision="bf16",
        epochs=4,
        batch=2,
        learning_rate=5e-3,
        warmup=2,
        seed=2,
        longest=2048,
        r=8,
        held_out=0.2,
    )


@pytest.fixture
def job(tiny_qwen_folder: Path, pairs_file: Path, small_recipe: Recipe, tmp_path: Path) -> Job:
    return Job(
        base=tiny_qwen_folder,
        files=(pairs_file,),
        folder=tmp_path / "adapter",
        recipe=small_recipe,
        limits=Limits(),
        method=MethodConfig(),
        measured=0,
        threads=1,
        resume=False,
        digests=tmp_path / "digests",
    )
