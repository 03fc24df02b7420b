"""How well and how fast extractors find English entities: on gold English, and on English that a model wrote.

    python benchmarks/extractors.py --shared ../shared [--database .eat/quality/eat.db --run default-sample-30-13]
        [--extractor token_classification=FOLDER ...]

Gold English: UNER EWT test, UNER PUD en, WikiANN en test. The shipped CRF has learnt from both EWT files, so the
figure on EWT test is that of a CRF trained here with the same command on EWT dev alone. A CRF trained on WikiANN,
whose licence is not open, shows what a user's own data does; it is measured and not shipped.

Translated English has no gold; a finished run has gold on the text side and an alignment for each English entity that
the run's extractor (`chat`) found. Two figures stand for what an extractor is worth there:

- tags: per sentence, the tags found against the tags of the gold entities, as multisets (micro P, R, F1);
- projected: an English entity takes the place in the text of the stored entity that it shares most characters with
  (each stored one once), then token-strict F1 as always. An entity that touches no stored one was never aligned: it
  counts as not found and is given beside as `unjudged`. This favours the extractor of the run itself.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eat_worker.engines.extractors.extractor import Extractor
from eat_worker.engines.extractors.opening import open_extractor
from eat_worker.metrics.f1 import Counts, Entity, micro, pooled, precision_recall_f1, token_strict
from eat_worker.training.extractor import train_extractor
from eat_worker.training.tagged import read_tagged, score_extractor

GOLD = {
    "EWT test": "ner/uner_ewt/en.test.iob2",
    "PUD en": "ner/uner_pud/en.iob2",
    "WikiANN en test": "ner/wikiann/en.test.bio",
}
SHIPPED, WITHOUT_TEST, ON_WIKIANN = "crf (shipped)", "crf (EWT dev only)", "crf (WikiANN train)"


@dataclass(frozen=True)
class Translated:
    """One document of a run: its text and gold, its English, and what the run's extractor found there.

    `stored` holds (English entity, place in the text or None).
    """

    lang: str
    text: str
    english: str
    gold: list[Entity]
    stored: list[tuple[Entity, tuple[int, int] | None]]


def main() -> None:
    """Open or train every extractor, measure, print the tables and one JSON record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder of the shared data")
    parser.add_argument("--database", type=Path, help="eat.db of a finished run")
    parser.add_argument("--run", default="default-sample-30-13")
    parser.add_argument("--extractor", action="append", default=[], metavar="KIND=PATH", help="one more to measure")
    parser.add_argument("--seed", type=int, default=13)
    chosen = parser.parse_args()
    data = chosen.shared / "data"
    with tempfile.TemporaryDirectory() as folder:
        extractors = dict(opened(data, Path(folder), chosen.extractor, chosen.seed))
        record: dict[str, Any] = {"command": sys.argv, "gold": on_gold(data, extractors)}
        print(gold_table(record["gold"]))
        if chosen.database:
            documents = list(read_run(chosen.database, chosen.run))
            record["translated"] = on_translated(documents, extractors)
            print(translated_table(record["translated"], len(documents)))
    print(json.dumps(record, indent=1))


def opened(data: Path, folder: Path, more: Sequence[str], seed: int) -> Iterator[tuple[str, Extractor]]:
    """The extractors by the name of their row."""
    yield SHIPPED, open_extractor("crf", "", models_dir=folder)
    names = data / "eacl/entity_types.tsv"
    for row, file in ((WITHOUT_TEST, "uner_ewt/en.dev.iob2"), (ON_WIKIANN, "wikiann/en.train.bio")):
        if (data / "ner" / file).is_file():
            out = folder / f"{Path(file).parent}.crfsuite"
            train_extractor("crf", [data / "ner" / file], out, names=names, seed=seed)
            yield row, open_extractor("crf", str(out), models_dir=folder)
    for word in more:
        kind, _, path = word.partition("=")
        yield word, open_extractor(kind, path, models_dir=folder)


def on_gold(data: Path, extractors: dict[str, Extractor]) -> dict[str, dict[str, Any]]:
    """{row: {data set: token-strict and span scores, sentences a second}}; what was trained on is left out."""
    found: dict[str, dict[str, Any]] = {row: {} for row in extractors}
    for name, file in GOLD.items():
        if not (data / file).is_file():
            print(f"{name}: not among the shared data", file=sys.stderr)
            continue
        sentences = read_tagged(data / file).sentences
        for row, extractor in extractors.items():
            if (row, name) == (SHIPPED, "EWT test"):
                continue
            started = time.perf_counter()
            scores = score_extractor(extractor, sentences)
            seconds = time.perf_counter() - started
            found[row][name] = {**scores, "sentences_per_second": len(sentences) / seconds}
    return found


def read_run(database: Path, run: str) -> Iterator[Translated]:
    """The documents of a run that have English."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    documents = connection.execute(
        "SELECT d.id, d.lang, d.text, d.english, d.gold_json FROM documents d JOIN runs r ON r.id = d.run_id "
        "WHERE r.name = ? AND d.english IS NOT NULL AND d.gold_json IS NOT NULL",
        (run,),
    )
    for id_, lang, text, english, gold in documents.fetchall():
        entities = connection.execute(
            "SELECT english_start, english_end, tag, text_start, text_end FROM entities "
            "WHERE document_id = ? AND english_start IS NOT NULL ORDER BY idx",
            (id_,),
        ).fetchall()
        stored = [
            ((start, end, tag), None if text_start is None else (text_start, text_end))
            for start, end, tag, text_start, text_end in entities
        ]
        gold_entities = [(start, end, tag) for start, end, tag in map(_gold, json.loads(gold))]
        yield Translated(lang, text, english, gold_entities, stored)
    connection.close()


def _gold(entity: Any) -> Entity:
    return (entity["start"], entity["end"], entity["tag"]) if isinstance(entity, dict) else tuple(entity)


def on_translated(documents: Sequence[Translated], extractors: dict[str, Extractor]) -> dict[str, dict[str, Any]]:
    """{row: the two figures over all languages}, first the run's own extractor."""
    found = {"chat (the run)": judged(documents, [[entity for entity, _ in one.stored] for one in documents])}
    for row, extractor in extractors.items():
        named = extractor.extract([one.english for one in documents])
        entities = [[(e.span.start, e.span.end, e.tag) for e in some if e.span] for some in named]
        found[row] = judged(documents, entities)
    return found


def judged(documents: Sequence[Translated], found: Sequence[Sequence[Entity]]) -> dict[str, Any]:
    """Both figures, in percent, with how many English entities there were and how many nobody can judge."""
    tags, tokens = [0, 0, 0], list[dict[str, Counts]]()
    unjudged = 0
    for one, entities in zip(documents, found, strict=True):
        said, right = Counter(tag for *_, tag in entities), Counter(tag for *_, tag in one.gold)
        for column, part in enumerate((said & right, said - right, right - said)):
            tags[column] += part.total()
        placed, lost = projected(one, entities)
        unjudged += lost
        tokens.append(token_strict(one.text, one.lang, one.gold, placed))
    return {
        "tags": percent((tags[0], tags[1], tags[2])),
        "projected": percent(micro(pooled(tokens))),
        "entities": sum(map(len, found)),
        "unjudged": unjudged,
    }


def projected(one: Translated, entities: Sequence[Entity]) -> tuple[list[Entity], int]:
    """The entities in the text, by what is stored; and how many touch nothing that is stored."""
    placed: list[Entity] = []
    taken: set[int] = set()
    unjudged = 0
    for start, end, tag in entities:
        shared = [min(end, known[1]) - max(start, known[0]) for known, _ in one.stored]
        best = max(range(len(shared)), key=shared.__getitem__, default=-1)
        if best < 0 or shared[best] <= 0:
            unjudged += 1
        elif best not in taken:
            taken.add(best)
            if place := one.stored[best][1]:
                placed.append((*place, tag))
    return placed, unjudged


def percent(counts: Counts) -> dict[str, float]:
    """Precision, recall and F1."""
    values = precision_recall_f1(*counts)
    return {name: round(100 * value, 1) for name, value in zip(("precision", "recall", "f1"), values, strict=True)}


def gold_table(found: dict[str, dict[str, Any]]) -> str:
    """Token-strict / span F1 and sentences a second, as Markdown."""
    lines = [f"| | {' | '.join(GOLD)} | sentences/s |", "|---" * (len(GOLD) + 2) + "|"]
    for row, sets in found.items():
        cells = [
            f"{sets[name]['token_strict']['f1']:.1f} / {sets[name]['span']['f1']:.1f}" if name in sets else "-"
            for name in GOLD
        ]
        speed = max(one["sentences_per_second"] for one in sets.values())
        lines.append(f"| {row} | {' | '.join(cells)} | {speed:.0f} |")
    return "\n".join(["Token-strict / span F1:", "", *lines, ""])


def translated_table(found: dict[str, dict[str, Any]], documents: int) -> str:
    """Both figures as Markdown."""
    head = ["| | tags P / R / F1 | projected P / R / F1 | entities |", "|---|---|---|---|"]
    lines = [f"Translated English, {documents} documents:", "", *head]
    for row, one in found.items():
        cells = [" / ".join(f"{value:.1f}" for value in one[name].values()) for name in ("tags", "projected")]
        lines.append(f"| {row} | {' | '.join(cells)} | {one['entities']}, {one['unjudged']} unjudged |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
