"""Sentences with gold, and how an extractor is scored on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from eat_worker.engines.extractors.extractor import ExtractorInfo, numbered
from eat_worker.errors import CorpusError
from eat_worker.method.document import EnglishEntity
from eat_worker.training.tagged import Tagged, read_tagged, score_extractor


class Fixed:
    """Answers from a table."""

    info = ExtractorInfo("crf", "table", "0" * 64, 1)

    def __init__(self, answers: dict[str, list[tuple[int, int, str]]]) -> None:
        self._answers = answers

    def extract(self, texts: Sequence[str]) -> list[tuple[EnglishEntity, ...]]:
        return [numbered(text, self._answers[text]) for text in texts]

    def close(self) -> None:
        """Nothing is held."""


def test_bio_files_of_any_layout_are_read_with_the_usual_types(tmp_path: Path) -> None:
    file = tmp_path / "some.bio"
    file.write_text("Ann\tB-PERSON\nleft\tO\nOslo\tB-LOC\n\nIBM\tB-ORG\nwon\tO\nNobel\tB-MISC\n")
    corpus = read_tagged(file)
    assert corpus.sentences == (
        Tagged("Ann left Oslo", ((0, 3, "PER"), (9, 13, "LOC"))),
        Tagged("IBM won Nobel", ((0, 3, "ORG"),)),
    )
    assert corpus.described() == {
        "file": "some.bio",
        "sha256": corpus.sha256,
        "sentences": 2,
        "entities": 3,
        "rejected": 0,
    }


def test_refused_sentences_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "some.bio"
    file.write_text("Ann\tB-PER\n\nleft\tX-PER\n\nOslo\tB-LOC\n")
    assert read_tagged(file).described()["rejected"] == 1


def test_a_file_without_gold_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    file.write_text('{"text": "Ann left"}\n')
    with pytest.raises(CorpusError, match="holds no sentence with gold"):
        read_tagged(file)


def test_scores_are_percentages_over_all_sentences() -> None:
    sentences = [
        Tagged("Ann Lee left Oslo", ((0, 7, "PER"), (13, 17, "LOC"))),
        Tagged("IBM won", ((0, 3, "ORG"),)),
    ]
    extractor = Fixed({"Ann Lee left Oslo": [(0, 3, "PER"), (13, 17, "LOC")], "IBM won": [(4, 7, "ORG")]})
    assert score_extractor(extractor, sentences) == {
        "token_strict": {"precision": 66.67, "recall": 50.0, "f1": 57.14},
        "span": {"precision": 33.33, "recall": 33.33, "f1": 33.33},
    }
