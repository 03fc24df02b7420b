"""The real files beside the checkout: every sentence is read, whole and in place."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from eat_worker.corpora.reading import Reading, read_documents
from eat_worker.method.document import Document

NER = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "ner"
pytestmark = pytest.mark.skipif(not NER.exists(), reason="needs the shared data folder beside the checkout")

# sentences by the shared README; PER, LOC and ORG
# as this reader first counted them, so they guard against change only (pioNER: 6 stray I-)
FILES = [
    ("aqmar/ar.iob2", 400, (254, 238, 81)),
    ("eacl_silver/ka.bio", 736, (166, 387, 183)),
    ("hiner/hi.conll", 400, (143, 782, 113)),
    ("klue/ko.tsv", 300, (263, 95, 125)),
    ("multiconer1/hi.dev.conll", 300, (49, 59, 93)),
    ("multiconer1/ko.dev.conll", 300, (98, 128, 113)),
    ("multiconer1/ru.dev.conll", 300, (78, 83, 112)),
    ("multiconer1/zh.dev.conll", 300, (43, 137, 88)),
    ("pioner/hy.conll03", 400, (207, 204, 238)),
    ("stockmark/ja.bio", 400, (204, 170, 373)),
    ("ud_japanese_gsd/ja.bio", 200, (28, 44, 24)),
    ("uner_ewt/en.dev.iob2", 2001, (343, 399, 224)),
    ("uner_gsdsimp/zh.iob2", 300, (153, 266, 72)),
    ("uner_pud/de.iob2", 300, (150, 154, 47)),
    ("uner_pud/en.iob2", 300, (141, 150, 66)),
    ("uner_pud/ru.iob2", 300, (144, 123, 80)),
    ("uner_pud/zh.iob2", 300, (156, 185, 43)),
    ("wikiann/de.test.bio", 500, (233, 265, 226)),
    ("wikiann/es.test.bio", 500, (192, 236, 170)),
    ("wikiann/fr.test.bio", 500, (228, 209, 200)),
    ("wikiann/nl.test.bio", 500, (226, 254, 192)),
    ("wikiann/ru.test.bio", 500, (175, 230, 209)),
    ("wikiann/en.test.bio", 500, (215, 218, 202)),
    ("wikiann_nsl_first_sentences/ar.bio", 3, (0, 1, 2)),
    ("wikiann_nsl_first_sentences/hi.bio", 3, (1, 2, 1)),
    ("wikiann_nsl_first_sentences/hy.bio", 3, (2, 0, 1)),
    ("wikiann_nsl_first_sentences/ja.bio", 3, (2, 4, 0)),
    ("wikiann_nsl_first_sentences/ka.bio", 3, (1, 2, 0)),
    ("wikiann_nsl_first_sentences/ko.bio", 3, (1, 1, 3)),
    ("wikiann_nsl_first_sentences/zh.bio", 3, (1, 1, 1)),
]


def read(name: str) -> tuple[list[Document], Reading]:
    path = NER / name
    reading = read_documents(path, lang=path.name[:2], dataset=path.parent.name, format="bio")
    records = list(reading)
    assert not reading.tally.rejected
    return [record for record in records if isinstance(record, Document)], reading


@pytest.mark.parametrize(("name", "sentences", "entities"), FILES, ids=[row[0] for row in FILES])
def test_every_sentence_and_every_entity_is_there(name: str, sentences: int, entities: tuple[int, int, int]) -> None:
    documents, reading = read(name)
    assert len(documents) == sentences
    counts = Counter(entity.tag for document in documents for entity in document.gold or ())
    assert (counts["PER"], counts["LOC"], counts["ORG"]) == entities
    assert reading.tally.bytes == (NER / name).stat().st_size
    assert reading.tally.repaired == (6 if name.startswith("pioner") else 0)
    for document in documents:
        assert all(document.text[entity.start : entity.end].strip() for entity in document.gold or ())


@pytest.mark.parametrize("name", [row[0] for row in FILES if row[0].startswith("uner")])
def test_the_text_is_the_one_the_file_gives(name: str) -> None:
    documents, _ = read(name)
    lines = (NER / name).read_text().split("\n")
    assert [document.text for document in documents] == [line[9:] for line in lines if line.startswith("# text = ")]


def test_klue_text_is_its_marked_up_line_without_the_marks() -> None:
    documents, _ = read("klue/ko.tsv")
    marked = [line.split("\t")[1] for line in (NER / "klue/ko.tsv").read_text().split("\n") if line.startswith("## ")]
    plain = [re.sub(r"<([^<>]*?):(?:PS|LC|OG|DT|TI|QT)>", r"\1", line) for line in marked]
    assert [document.text for document in documents] == plain


def test_stockmark_characters_give_the_offsets_of_its_json() -> None:
    documents, _ = read("stockmark/ja.bio")
    tags = {"人名": "PER", "地名": "LOC", "法人名": "ORG", "政治的組織名": "ORG", "その他の組織名": "ORG"}
    rows = [json.loads(line) for line in (NER / "stockmark/ja.jsonl").read_text().split("\n") if line]
    for document, row in zip(documents, rows, strict=True):
        assert document.text == row["text"]
        gold = sorted((*entity["span"], tags[entity["type"]]) for entity in row["entities"] if entity["type"] in tags)
        assert [(entity.start, entity.end, entity.tag) for entity in document.gold or ()] == gold
