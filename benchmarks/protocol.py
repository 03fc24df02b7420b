"""The sentences on which quality is measured: 100 of each of seven corpora in ../shared, halved by a hash.

    python benchmarks/protocol.py OUT.jsonl --half tune [--shared ../shared]

`tune` may be looked at; `judge` is for claims, and every time that it is run is counted (benchmarks/quality.py). The
sentences are drawn by a seed without regard to their gold, so some name nothing. Some of the corpora may not be
redistributed: keep the output out of the repository.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from pathlib import Path

import orjson

from eat_worker.corpora.reading import read_documents
from eat_worker.method.document import Document

ROOT = Path(__file__).resolve().parent.parent
SEED = 2026
PER_LANGUAGE = 100

CORPORA = (
    ("ko", "klue", "klue/ko.tsv"),
    ("ja", "stockmark", "stockmark/ja.bio"),
    ("zh", "uner_pud", "uner_pud/zh.iob2"),
    ("ru", "uner_pud", "uner_pud/ru.iob2"),
    ("de", "uner_pud", "uner_pud/de.iob2"),
    ("ar", "aqmar", "aqmar/ar.iob2"),
    ("hi", "hiner", "hiner/hi.conll"),
)


def sentences(shared: Path, half: str) -> list[Document]:
    """The sentences of one half, corpus by corpus, in the order of the files."""
    found = []
    for lang, dataset, name in CORPORA:
        path = shared / "data" / "ner" / name
        records = list(read_documents(path, lang=lang, dataset=dataset, format="bio"))
        drawn = random.Random(f"{SEED}-{dataset}-{lang}").sample(range(len(records)), PER_LANGUAGE)
        for number in sorted(drawn):
            document = records[number]
            if not isinstance(document, Document):
                raise SystemExit(f"{document.where}: {document.message}")
            if half_of(document.text) == half:
                found.append(document)
    return found


def half_of(text: str) -> str:
    """The same text is in the same half, whatever corpus it is drawn from."""
    return "judge" if hashlib.sha256(text.encode()).digest()[0] % 2 else "tune"


def row(document: Document, number: int) -> bytes:
    """A record of the sample."""
    record = {
        "id": f"{document.dataset}-{document.lang}-{number:04}",
        "lang": document.lang,
        "dataset": document.dataset,
        "text": document.text,
        "entities": [{"start": one.start, "end": one.end, "tag": one.tag} for one in document.gold or ()],
    }
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def write(path: Path, shared: Path, half: str, first: int | None = None) -> None:
    """Write one half, or the first so many sentences of each language of it."""
    seen: dict[str, int] = {}
    with path.open("wb") as out:
        for document in sentences(shared, half):
            seen[document.lang] = number = seen.get(document.lang, 0) + 1
            if first is None or number <= first:
                out.write(row(document, number))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--half", choices=("tune", "judge"), required=True)
    parser.add_argument("--first", type=int, help="only the first N sentences of each language")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    args = parser.parse_args()
    write(args.out, args.shared, args.half, args.first)


if __name__ == "__main__":
    main()
