"""What a folder of weights must hold, and how texts are put into batches."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from eat_worker.engines.extractors.checkpoints import batches_by_length, load_tokenizer, require_checkpoint
from eat_worker.errors import ConfigurationError, ModelMissing


def test_batches_hold_items_of_like_length_and_no_empty_ones() -> None:
    assert batches_by_length([3, 0, 9, 4, 1], 2) == [[2, 3], [0, 4]]


def test_nothing_makes_no_batch() -> None:
    assert batches_by_length([0, 0], 2) == []


def test_a_whole_folder_is_taken(tiny_bert: Path) -> None:
    assert require_checkpoint(tiny_bert) == tiny_bert


def test_a_folder_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no such folder"):
        require_checkpoint(tmp_path / "none")


def test_a_folder_without_weights_is_missing_them(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelMissing, match=r"lacks config\.json or weights"):
        require_checkpoint(tmp_path)


def test_a_folder_without_a_tokenizer_is_missing_it(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer*")))
    with pytest.raises(ModelMissing, match="lacks its tokenizer"):
        require_checkpoint(folder)


def test_a_tokenizer_that_does_not_parse_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "broken"))
    (folder / "tokenizer_config.json").write_text("{")
    with pytest.raises(ConfigurationError, match="its tokenizer cannot be loaded"):
        load_tokenizer(folder)


def test_a_tokenizer_that_cannot_tell_words_apart_is_refused(tmp_path: Path) -> None:
    from transformers import ByT5Tokenizer

    ByT5Tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)
