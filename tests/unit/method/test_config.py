from __future__ import annotations

import json
import math
from typing import Any

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.method.config import CHAT_STAGES, MethodConfig
from eat_worker.method.document import Stage


def test_the_defaults_are_the_paper_with_bound_answers() -> None:
    config = MethodConfig()
    assert (config.method, config.prompts, config.rounds, config.forward) == ("eat", "restated", 3, "bound")
    assert (config.alignment, config.matcher, config.extractor) == ("constrained", "char", "chat")
    assert (config.adapter_stages, config.tags, config.back_translation) == (("backward",), ("PER", "LOC", "ORG"), True)
    limits = (config.think_tokens, config.translate_tokens, config.extract_tokens, config.final_tokens)
    assert limits == (192, 128, 128, 48)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("method", "magic", "method = 'magic' is not one of: eat, direct"),
        ("prompts", "mine", "prompts = 'mine' is not one of: restated, official"),
        ("rounds", 2, "rounds = 2 is not one of: 1, 3, 5"),
        ("forward", "", "forward = '' is not one of: bound, free"),
        ("alignment", "none", "alignment = 'none' is not one of: constrained, free, free[+]constrained"),
        ("matcher", None, "matcher = None is not one of: char, official"),
        ("extractor", "t5", "extractor = 't5' is not one of: chat"),
        ("adapter_stages", ("backwards",), "adapter_stages: 'backwards' is not one of: direct, forward, extract, "),
        ("adapter_stages", ("score",), "adapter_stages: 'score' is not one of"),
        ("tags", (), "tags: name at least one"),
        ("tags", ("PER", ""), "tags: name at least one"),
        ("think_tokens", 0, "think_tokens = 0 must be at least 1"),
        ("final_tokens", -1, "final_tokens = -1 must be at least 1"),
        ("min_confidence", 42, "min_confidence = 42 must lie between 0 and 1"),
        ("min_confidence", -0.1, "min_confidence = -0.1 must lie between 0 and 1"),
        ("min_confidence", math.nan, "min_confidence = nan must lie between 0 and 1"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(setting: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        MethodConfig(**{setting: value})


def test_a_model_is_asked_in_five_stages() -> None:
    assert CHAT_STAGES == ("direct", "forward", "extract", "backward", "back_translation")
    assert MethodConfig(adapter_stages=CHAT_STAGES).adapter_stages == CHAT_STAGES


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, True),
        ({"prompts": "tuned", "method": "direct"}, True),
        ({"alignment": "free"}, True),  # the forward rounds are bound
        ({"alignment": "free", "rounds": 1}, True),  # without a thinking round the translation still is
        ({"alignment": "free", "prompts": "official"}, True),  # also where no names are listed
        ({"alignment": "free", "forward": "free"}, False),
        ({"alignment": "constrained", "forward": "free"}, True),
        ({"alignment": "free+constrained", "forward": "free"}, True),
        ({"method": "direct"}, False),
    ],
)
def test_a_run_says_whether_it_binds_answers(values: dict[str, Any], expected: bool) -> None:
    assert MethodConfig(**values).constrained is expected


def test_a_document_passes_the_stages_that_the_run_asks_for() -> None:
    assert MethodConfig().stages() == (
        Stage.FORWARD,
        Stage.EXTRACT,
        Stage.BACKWARD,
        Stage.BACK_TRANSLATION,
        Stage.SCORE,
        Stage.DONE,
    )
    assert Stage.BACK_TRANSLATION not in MethodConfig(back_translation=False).stages()
    assert MethodConfig(method="direct").stages() == (Stage.DIRECT, Stage.SCORE, Stage.DONE)


def test_each_stage_has_a_next_and_done_stays_done() -> None:
    config = MethodConfig(back_translation=False)
    assert config.stage_after(Stage.FORWARD) is Stage.EXTRACT
    assert config.stage_after(Stage.BACKWARD) is Stage.SCORE
    assert config.stage_after(Stage.SCORE) is Stage.DONE
    assert config.stage_after(Stage.DONE) is Stage.DONE


def test_settings_come_back_from_storage_as_they_were() -> None:
    config = MethodConfig(rounds=5, tags=("PER",), adapter_stages=(), back_translation=False, think_tokens=64)
    assert MethodConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert MethodConfig.from_json({}) == MethodConfig()
    assert config.to_json()["tags"] == ["PER"]


def test_a_setting_that_has_another_name_now_is_refused_too() -> None:
    with pytest.raises(ConfigurationError, match="this version does not know: think"):
        MethodConfig.from_json({"think": "bound"})


def test_settings_of_a_newer_version_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="this version does not know: depth, speed"):
        MethodConfig.from_json({"speed": 9, "rounds": 3, "depth": 1})
