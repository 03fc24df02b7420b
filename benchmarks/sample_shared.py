"""Draws the evaluation corpus: so many sentences per language from ../shared, as one JSON Lines file with gold.

    python benchmarks/sample_shared.py OUT.jsonl [--per-language 30] [--seed 13] [--shared ../shared]

The same seed gives the same bytes. Sentences are drawn without regard to their gold, so some have no entities.
Some of the corpora may not be redistributed: keep the output out of the repository.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import orjson

from eat_worker.corpora.reading import read_documents
from eat_worker.method.document import Document

ROOT = Path(__file__).resolve().parent.parent

CORPORA = (
    ("ko", "klue", "klue/ko.tsv"),
    ("ja", "stockmark", "stockmark/ja.bio"),
    ("zh", "uner_pud", "uner_pud/zh.iob2"),
    ("ru", "wikiann", "wikiann/ru.test.bio"),
    ("ar", "aqmar", "aqmar/ar.iob2"),
    ("hi", "hiner", "hiner/hi.conll"),
)


def sample(path: Path, lang: str, dataset: str, count: int, seed: int) -> list[bytes]:
    """The drawn sentences in the order of the file; a sentence is known by its number in it."""
    records = list(read_documents(path, lang=lang, dataset=dataset, format="bio"))
    drawn = sorted(random.Random(f"{seed}-{dataset}").sample(range(len(records)), count))
    rows = []
    for number in drawn:
        document = records[number]
        if not isinstance(document, Document):
            raise SystemExit(f"{document.where}: {document.message}")
        rows.append(row(document, number))
    return rows


def row(document: Document, number: int) -> bytes:
    gold = [{"start": entity.start, "end": entity.end, "tag": entity.tag} for entity in document.gold or ()]
    record = {
        "id": f"{document.dataset}-{document.lang}-{number:04}",
        "lang": document.lang,
        "dataset": document.dataset,
        "text": document.text,
        "entities": gold,
    }
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--per-language", type=int, default=30)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    args = parser.parse_args()
    rows: list[bytes] = []
    for lang, dataset, path in CORPORA:
        drawn = sample(args.shared / "data" / "ner" / path, lang, dataset, args.per_language, args.seed)
        print(f"{lang} {dataset}: {len(drawn)} sentences")
        rows += drawn
    args.out.write_bytes(b"".join(rows))


if __name__ == "__main__":
    main()
