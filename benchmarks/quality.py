"""How well the method does on the shared sample: our default, the official prompts and matcher, one direct call.

    python benchmarks/quality.py --shared ../shared --state .eat/quality [--per-language 30 --seed 13]

Same sentences, same weights, runs through the product's own `eat run`; one table by language with intervals, the
alignment ledger, and each method against the first on the documents both have finished. Run again after a stop, it
resumes. Writes quality.json and quality.md into the state folder.

`--first N` takes the first N sentences of each language, where a slow method (the official prompts let a 1.5B talk)
would take too long on all.
"""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from eat_worker.metrics.intervals import paired_bootstrap

EAT = Path(sys.executable).parent / "eat"
METHODS: dict[str, list[str]] = {
    "default": [],
    "official": ["--prompts", "official", "--forward", "free", "--alignment", "free", "--matcher", "official"],
    "direct": ["--method", "direct"],
    # For studies of one lever at a time.
    "chat": ["--extractor", "chat"],
    "crf": ["--extractor", "crf"],
    "forward-free": ["--forward", "free"],
    "align-free": ["--alignment", "free"],
}


def main() -> None:
    """Sample, run each method, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder of the shared data")
    parser.add_argument("--state", type=Path, default=Path(".eat/quality"))
    parser.add_argument("--per-language", type=int, default=30)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct-q4_k_m")
    parser.add_argument("--first", type=int, help="only the first N sentences of each language")
    parser.add_argument("--methods", default="default,official,direct", help=f"of: {', '.join(METHODS)}")
    chosen = parser.parse_args()
    chosen.state.mkdir(parents=True, exist_ok=True)
    corpus = chosen.state / f"sample-{chosen.per_language}-{chosen.seed}.jsonl"
    sampler = Path(__file__).with_name("sample_shared.py")
    size = ["--per-language", str(chosen.per_language), "--seed", str(chosen.seed), "--shared", str(chosen.shared)]
    subprocess.run([sys.executable, str(sampler), str(corpus), *size], check=True)
    if chosen.first:
        corpus = first_of_each(corpus, chosen.first)
    results = {name: run(name, corpus, chosen) for name in chosen.methods.split(",")}
    record = {"command": sys.argv, "machine": platform.processor() or platform.machine(), "results": results}
    (chosen.state / "quality.json").write_text(json.dumps(record, ensure_ascii=False, indent=1))
    database = chosen.state / "eat.db"
    table = markdown(results) + "\n".join([*fates(database), *paired(database)])
    (chosen.state / "quality.md").write_text(table)
    print(table)


def first_of_each(corpus: Path, number: int) -> Path:
    """The corpus cut to the first sentences of each language."""
    seen: Counter[str] = Counter()
    kept = []
    for line in corpus.read_text().splitlines(keepends=True):
        lang = json.loads(line)["lang"]
        seen[lang] += 1
        if seen[lang] <= number:
            kept.append(line)
    path = corpus.with_name(f"{corpus.stem}-first{number}.jsonl")
    path.write_text("".join(kept))
    return path


def paired(database: Path) -> list[str]:
    """Each run against those of the default, over the documents that both have scored: F1, difference, interval, p."""
    query = """
        SELECT runs.name, documents.ext_id, strict_tp, strict_fp, strict_fn
        FROM scores JOIN documents ON documents.id = document_id JOIN runs ON runs.id = run_id
        WHERE strict_tp IS NOT NULL
    """
    counts: dict[str, dict[str, tuple[int, int, int]]] = {}
    with sqlite3.connect(database) as connection:
        for name, document, *strict in connection.execute(query):
            counts.setdefault(name.split("-")[0], {})[document] = tuple(strict)
    lines = ["Paired over the documents both have finished (token-strict F1, bootstrap of documents, seed 0):", ""]
    default = counts.pop("default", {})
    for name, other in counts.items():
        common = sorted(default.keys() & other.keys())
        groups = Counter((*default[key], *other[key]) for key in common)
        found = paired_bootstrap([(number, *row) for row, number in groups.items()])
        if found:
            lines.append(
                f"- default {100 * found.first:.1f}, {name} {100 * found.second:.1f} on {len(common)} documents: "
                f"difference {100 * found.delta:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f}), "
                f"p = {found.p_value:.3f}"
            )
    return [*lines, ""]


def fates(database: Path) -> list[str]:
    """What became of each gold entity, by run and language, and how many predictions touch no gold at all."""
    query = """
        SELECT runs.name, documents.lang, documents.id, gold_json FROM documents JOIN runs ON runs.id = run_id
        WHERE gold_json IS NOT NULL AND documents.status = 'done' ORDER BY runs.id, documents.id
    """
    found = "SELECT text_start, text_end, tag FROM entities WHERE document_id = ? AND text_start IS NOT NULL"
    tally: dict[tuple[str, str], Counter[str]] = {}
    with sqlite3.connect(database) as connection:
        for name, lang, document, gold_json in connection.execute(query):
            counts = tally.setdefault((name.split("-")[0], lang), Counter())
            predicted = connection.execute(found, (document,)).fetchall()
            gold = [(start, end, tag) for start, end, tag in json.loads(gold_json)]
            counts.update(fate(entity, predicted) for entity in gold)
            counts["false alarm"] += sum(not touching(entity, gold) for entity in predicted)
    names = ("right", "wrong tag", "wrong boundary", "missed", "false alarm")
    lines = ["Gold entities by fate (a false alarm touches no gold):", "", f"| run, language | {' | '.join(names)} |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for (name, lang), counts in tally.items():
        lines.append(f"| {name}, {lang} | " + " | ".join(str(counts[column]) for column in names) + " |")
    return [*lines, ""]


def fate(entity: tuple[int, int, str], predicted: list[tuple[int, int, str]]) -> str:
    """How one gold entity fared."""
    near = touching(entity, predicted)
    if entity in near:
        return "right"
    if any(other[:2] == entity[:2] for other in near):
        return "wrong tag"
    return "wrong boundary" if near else "missed"


def touching(entity: tuple[int, int, str], others: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Those of `others` that share a character with the entity."""
    return [other for other in others if other[0] < entity[1] and entity[0] < other[1]]


def run(name: str, corpus: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """One method over the sample: its report and the wall seconds of this call (less when it resumed)."""
    common = ["--state", str(chosen.state), "--run", f"{name}-{corpus.stem}"]
    print(f"== {name}", file=sys.stderr, flush=True)
    started = time.monotonic()
    command = [EAT, "run", corpus, *common, "--model", chosen.model, "--no-back-translation", *METHODS[name], "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 3):
        sys.exit(done.returncode)
    seconds = time.monotonic() - started
    report = subprocess.run([EAT, "report", *common, "--json"], stdout=subprocess.PIPE, check=True)
    return {"wall_seconds": seconds, **json.loads(report.stdout)}


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """Token-strict F1 by language with its interval, then what became of the English entities."""
    rows = {name: {row["lang"]: row for row in result["rows"]} for name, result in results.items()}
    langs = list(next(iter(rows.values())))
    lines = ["| | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    for lang in langs:
        dataset = rows[next(iter(rows))][lang]["dataset"]
        figures = [cell(rows[name].get(lang)) for name in results]
        lines.append(f"| {lang} ({dataset}) | " + " | ".join(figures) + " |")
    seconds = [f"{rows[name]['all']['seconds_per_sentence']:.1f}" for name in results]
    lines += ["| engine seconds per sentence | " + " | ".join(seconds) + " |", ""]
    for name in results:
        lines += [f"Ledger of {name}:", ""]
        for lang in langs:
            outcomes = rows[name].get(lang, {}).get("outcomes", {})
            lines.append(f"- {lang}: " + ", ".join(f"{key} {count}" for key, count in outcomes.items()))
        lines.append("")
    return "\n".join(lines)


def cell(row: dict[str, Any] | None) -> str:
    """`F1 (low-high)`, percent."""
    figure = row and row["token_strict"]
    return f"{figure['f1']:.1f} ({figure['low']:.1f}-{figure['high']:.1f})" if figure else "-"


if __name__ == "__main__":
    main()
