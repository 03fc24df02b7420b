"""Makes quickstart.jsonl: four real sentences with gold per language, from openly licensed corpora.

    python examples/build_quickstart.py [--shared ../shared] [--out examples/quickstart.jsonl]

Needs the folder of shared data beside the checkout. The file it makes is committed: nobody else needs to run this.
The sentences were picked by eye from a seeded order of those with moderate length and two or three entities: the gold
beyond doubt, every tag present in every language.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eat_worker.corpora.reading import read_documents
from eat_worker.method.document import TAGS, Document, GoldEntity

ROOT = Path(__file__).resolve().parent.parent
UNER = "labels CC BY-SA 4.0, text CC BY-SA 3.0"


@dataclass(frozen=True)
class Origin:
    """Where a language's sentences come from, and which they are."""

    lang: str
    dataset: str
    path: str
    source: str
    licence: str
    ids: tuple[str, ...]


ORIGINS = (
    Origin(
        "ko",
        "klue",
        "ner/klue/ko.tsv",
        "KLUE-NER v1.1, dev",
        "CC BY-SA 4.0",
        tuple(f"klue-ner-v1_dev_{number}-wikitree" for number in ("00142", "00194", "01716", "02565")),
    ),
    Origin(
        "ja",
        "stockmark",
        "ner/stockmark/ja.jsonl",
        "Stockmark ner-wikipedia-dataset",
        "CC BY-SA 3.0",
        ("1445891", "2219625", "11486", "4227671"),
    ),
    Origin(
        "zh",
        "uner_pud",
        "ner/uner_pud/zh.iob2",
        "UNER Chinese-PUD",
        UNER,
        ("batch-0019-0006", "batch-0018-0005", "batch-0026-0030", "batch-0030-0023"),
    ),
    Origin(
        "ru",
        "uner_pud",
        "ner/uner_pud/ru.iob2",
        "UNER Russian-PUD",
        UNER,
        ("w01030-0001", "w01050-0002", "w01135-0004", "w03004-0002"),
    ),
    Origin(
        "ar",
        "pud",
        "parallel/pud/ar.jsonl",
        "UD Arabic-PUD, entities marked by eat_worker",
        "CC BY-SA 3.0",
        ("n01058-0001", "n01061-0002", "n01145-0002", "w01117-0002"),
    ),
    Origin(
        "de",
        "uner_pud",
        "ner/uner_pud/de.iob2",
        "UNER German-PUD",
        UNER,
        ("n01069-0002", "w01003-0002", "w01111-0001", "w02018-0001"),
    ),
)

STOCKMARK_TAGS = {"人名": "PER", "地名": "LOC", "法人名": "ORG", "政治的組織名": "ORG", "その他の組織名": "ORG"}

# PUD has no named entities for Arabic. These were marked by hand, each the counterpart of a gold entity in the English
# sentence of the same number (UNER English-PUD).
ARABIC: dict[str, tuple[tuple[str, str], ...]] = {
    "n01058-0001": (("هيلزبورو", "LOC"), ("تشابل هيل", "LOC"), ("الحزب الجمهوري", "ORG")),
    "n01061-0002": (("جون دي دومينيكو", "PER"), ("دونالد ترامب", "PER"), ("سليت", "ORG")),
    "n01145-0002": (("المكسيك", "LOC"), ("البرازيل", "LOC")),
    "w01117-0002": (("مارغريت دوغلاس", "PER"), ("لينوكس", "LOC")),
}


def documents(origin: Origin, shared: Path) -> dict[str | None, Document]:
    """All sentences of a corpus by id."""
    path = shared / "data" / origin.path
    if origin.dataset == "stockmark":
        found = [stockmark(row) for row in read_rows(path)]
    elif origin.dataset == "pud":
        found = [arabic(row) for row in read_rows(path) if row["uner_id"] in ARABIC]
    else:
        records = read_documents(path, lang=origin.lang, dataset=origin.dataset)
        found = [record for record in records if isinstance(record, Document)]
    return {document.ext_id: document for document in found}


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().split(b"\n") if line]


def stockmark(row: dict[str, Any]) -> Document:
    entities = [(*entity["span"], STOCKMARK_TAGS.get(entity["type"])) for entity in row["entities"]]
    gold = tuple(GoldEntity(start, end, tag) for start, end, tag in sorted(entities) if tag)
    return Document(row["text"], "ja", row["curid"], "stockmark", gold)


def arabic(row: dict[str, Any]) -> Document:
    text, gold = row["tgt"], []
    for words, tag in ARABIC[row["uner_id"]]:
        if text.count(words) != 1:
            sys.exit(f"{row['uner_id']}: {words} must stand in the text exactly once")
        gold.append(GoldEntity(text.index(words), text.index(words) + len(words), tag))
    return Document(text, "ar", row["uner_id"], "pud", tuple(sorted(gold, key=lambda entity: entity.start)))


def record(document: Document, origin: Origin) -> bytes:
    gold = [{"start": entity.start, "end": entity.end, "tag": entity.tag} for entity in document.gold or ()]
    row = {
        "id": f"{origin.lang}-{document.ext_id}",
        "lang": origin.lang,
        "dataset": origin.dataset,
        "text": document.text,
        "entities": gold,
        "meta": {"source": origin.source, "licence": origin.licence},
    }
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--out", type=Path, default=ROOT / "examples" / "quickstart.jsonl")
    args = parser.parse_args()
    rows = []
    for origin in ORIGINS:
        known = documents(origin, args.shared)
        for ext_id in origin.ids:
            document = known[ext_id]
            rows.append(record(document, origin))
            spans = [(document.text[entity.start : entity.end], entity.tag) for entity in document.gold or ()]
            print(origin.lang, ext_id, document.text, spans)
        tags = {entity.tag for ext_id in origin.ids for entity in known[ext_id].gold or ()}
        if tags != set(TAGS):
            sys.exit(f"{origin.lang}: the sentences lack {set(TAGS) - tags}")
    args.out.write_bytes(b"".join(rows))


if __name__ == "__main__":
    main()
