"""What is read of the sources, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eat_worker.errors import CorpusError
from eat_worker.training.names.lessons import digest_of, lessons_of
from eat_worker.training.names.sources import Sources, read_sources

SHARED = Path(__file__).resolve().parents[4].parent / "shared" / "data"
CARD = Path(__file__).resolve().parents[4] / "eat_worker/models/adapters/qwen2.5-coder-1.5b-instruct-q4_k_m"


def test_names_of_other_languages_have_a_tag_and_no_bracket(sources: Sources) -> None:
    assert sources.names == {
        "de": {
            "LOC": ["Köln", "München"],
            "PER": ["Angela Dorothea Merkel"],
            "ORG": ["Ford", "Vereinte Nationen"],
        },
        "ko": {"LOC": ["부산", "서울"], "PER": ["김연아"], "ORG": ["국제 연합"]},
    }


def test_a_document_of_another_length_is_not_a_translation(source_files: dict[str, Any]) -> None:
    news = source_files["news"] / "ko.jsonl"
    news.write_text('{"id": "a.1", "sentences": ["하나"]}\n{"id": "b.2", "sentences": ["둘"]}\n', encoding="utf-8")
    assert list(read_sources(**source_files).translated("ko")) == []


def test_every_file_is_in_the_digests(sources: Sources) -> None:
    assert sorted(sources.digests) == [
        "eacl/de.jsonl",
        "eacl/entity_types.tsv",
        "eacl/ko.jsonl",
        "english/en.bio",
        "news/en.jsonl",
        "news/hi.jsonl",
        "news/ko.jsonl",
    ]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("news/en.jsonl", "holds no en.jsonl"),
        ("eacl/entity_types.tsv", "cannot be read as names"),
        ("en.bio", "en.bio"),
    ],
)
def test_a_source_that_is_missing_is_named(
    source_files: dict[str, Any], tmp_path: Path, missing: str, message: str
) -> None:
    (tmp_path / missing).unlink()
    with pytest.raises(CorpusError, match=message):
        read_sources(**source_files)


def test_a_folder_without_pairs_is_an_error(source_files: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no pairs"):
        read_sources(**{**source_files, "eacl": tmp_path / "news" / "no"})


def test_a_line_that_is_no_document_is_named(source_files: dict[str, Any]) -> None:
    (source_files["news"] / "ko.jsonl").write_text('{"id": "a.1"}\n', encoding="utf-8")
    with pytest.raises(CorpusError, match=r"ko\.jsonl:1: is no document with id and sentences"):
        read_sources(**source_files)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
@pytest.mark.timeout(300)
def test_the_real_sources_give_the_chats_of_the_card(tiny_qwen_folder: Path) -> None:
    from eat_worker.models.adapter import read_card

    english = [SHARED / "ner/uner_ewt" / name for name in ("en.dev.iob2", "en.test.iob2")]
    sources = read_sources(english, SHARED / "eacl", SHARED / "raw/ntrex_docs")
    lessons = lessons_of(sources, tiny_qwen_folder)
    card = read_card(CARD)
    assert card is not None
    assert digest_of(lessons) == card.data
    assert [lesson.described()["sha256"] for lesson in lessons] == [one["sha256"] for one in card.settings["phases"]]
    assert sources.digests == card.settings["sources"]
