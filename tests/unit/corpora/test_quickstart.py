"""The example corpus that `make demo` runs on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from eat_worker.corpora.reading import read_documents
from eat_worker.method.document import Document

QUICKSTART = Path(__file__).resolve().parents[3] / "examples" / "quickstart.jsonl"


def documents() -> list[Document]:
    reading = read_documents(QUICKSTART)
    found = [record for record in reading if isinstance(record, Document)]
    assert not reading.tally.rejected
    assert not reading.tally.dropped
    return found


def test_four_sentences_in_each_of_six_languages_in_order() -> None:
    assert [document.lang for document in documents()] == [
        lang for lang in ("ko", "ja", "zh", "ru", "ar", "de") for _ in range(4)
    ]


def test_every_language_has_every_tag() -> None:
    tags = Counter((document.lang, entity.tag) for document in documents() for entity in document.gold or ())
    assert len(tags) == 18
    assert sum(tags.values()) == 61


def test_every_record_names_its_source_and_licence() -> None:
    assert all(document.ext_id and document.meta["source"] for document in documents())
    assert all("CC BY-SA" in document.meta["licence"] for document in documents())
    assert {(document.lang, document.dataset) for document in documents()} == {
        ("ko", "klue"),
        ("ja", "stockmark"),
        ("zh", "uner_pud"),
        ("ru", "uner_pud"),
        ("ar", "pud"),
        ("de", "uner_pud"),
    }


def test_spans_cover_the_words_that_were_marked() -> None:
    by_id = {document.ext_id: document for document in documents()}
    marked = {
        "ko-klue-ner-v1_dev_00194-wikitree": [("김경도", "PER"), ("중국", "LOC"), ("길림신문", "ORG")],
        "ja-2219625": [("株式会社今井金箔", "ORG"), ("石川県", "LOC")],
        "zh-batch-0019-0006": [("道明會", "ORG"), ("海因里希·克雷默", "PER"), ("薩爾茲堡", "LOC")],
        "ru-w03004-0002": [("Пирр", "PER"), ("Сицилию", "LOC"), ("Италии", "LOC")],
        "ar-n01061-0002": [("جون دي دومينيكو", "PER"), ("دونالد ترامب", "PER"), ("سليت", "ORG")],
        "de-w02018-0001": [("Weiss", "PER"), ("Köln", "LOC"), ("Bremen", "LOC")],
    }
    for ext_id, words in marked.items():
        document = by_id[ext_id]
        assert [(document.text[entity.start : entity.end], entity.tag) for entity in document.gold or ()] == words
