"""How well the routes do on the protocol sentences: our default, the official prompts and matcher, one direct call.

    python benchmarks/quality.py --half tune --routes default,direct
    python benchmarks/quality.py --half judge --routes default,direct,official --claim "0.1.0 beats a direct call"

Same sentences, same weights, through the product's own `eat run`; one table of route and language with F1, precision,
recall, engine seconds, tokens read and written; the alignment ledger; and each route against `default` on the
documents both have finished. Run again after a stop, it resumes. Writes quality.json and quality.md into the state
folder. A run on `judge` needs a claim and is counted in benchmarks/judged.jsonl.

`--first N` takes the first N sentences of each language, where a slow route (the official prompts let a 1.5B talk)
would take too long on all.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import protocol

from eat_worker.metrics.intervals import paired_bootstrap

EAT = Path(sys.executable).parent / "eat"
JUDGED = Path(__file__).with_name("judged.jsonl")
ROUTES: dict[str, list[str]] = {
    "default": [],
    "direct": ["--method", "direct", "--prompts", "restated", "--adapter", "none"],
    "full": ["--cascade", "1"],
    "restated": ["--prompts", "restated", "--adapter", "none"],
    "official": [
        *("--prompts", "official", "--adapter", "none", "--forward", "free", "--alignment", "free"),
        *("--matcher", "official"),
    ],
}


def main() -> None:
    """Sample, run each route, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = protocol.ROOT.parent / "shared"
    parser.add_argument("--shared", type=Path, default=shared, help="folder of the shared data")
    parser.add_argument("--state", type=Path, default=Path(".eat/quality"))
    parser.add_argument("--half", choices=("tune", "judge"), required=True)
    parser.add_argument("--claim", help="what a run on judge is to show")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct-q4_k_m")
    parser.add_argument("--first", type=int, help="only the first N sentences of each language")
    parser.add_argument("--routes", default="default,direct", help=f"of: {', '.join(ROUTES)}")
    chosen = parser.parse_args()
    if chosen.half == "judge" and not chosen.claim:
        parser.error("judge is for claims: say with --claim what this run is to show")
    chosen.state.mkdir(parents=True, exist_ok=True)
    corpus = chosen.state / f"{chosen.half}{chosen.first or ''}.jsonl"
    protocol.write(corpus, chosen.shared, chosen.half, chosen.first)
    results = {name: run(name, corpus, chosen) for name in chosen.routes.split(",")}
    database = chosen.state / "eat.db"
    against = paired(database, f"-{corpus.stem}")
    record = {"command": sys.argv, "machine": platform.processor() or platform.machine(), "results": results}
    (chosen.state / "quality.json").write_text(json.dumps(record, ensure_ascii=False, indent=1))
    table = markdown(results) + "\n".join([*fates(database, f"-{corpus.stem}"), *against])
    (chosen.state / "quality.md").write_text(table)
    print(table)
    if chosen.half == "judge":
        judged(chosen, results, against)


def judged(chosen: argparse.Namespace, results: dict[str, dict[str, Any]], against: list[str]) -> None:
    """Count this look at the judge half, with what it was to show and what it showed."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True, check=False)
    entry = {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit.stdout.strip(),
        "claim": chosen.claim,
        "first": chosen.first,
        "token_strict": {name: row_of(result, "all")["token_strict"]["f1"] for name, result in results.items()},
        "paired": [line for line in against if line.startswith("-")],
    }
    with JUDGED.open("a", encoding="utf-8") as out:
        out.write(json.dumps(entry, ensure_ascii=False) + "\n")


def paired(database: Path, suffix: str) -> list[str]:
    """Each run against those of the default, over the documents that both have scored: F1, difference, interval, p."""
    query = """
        SELECT runs.name, documents.ext_id, strict_tp, strict_fp, strict_fn
        FROM scores JOIN documents ON documents.id = document_id JOIN runs ON runs.id = run_id
        WHERE strict_tp IS NOT NULL
    """
    counts: dict[str, dict[str, tuple[int, int, int]]] = {}
    with sqlite3.connect(database) as connection:
        for name, document, *strict in connection.execute(query):
            if name.endswith(suffix):
                counts.setdefault(name.removesuffix(suffix), {})[document] = tuple(strict)
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


def fates(database: Path, suffix: str) -> list[str]:
    """What became of each gold entity, by run and language, and how many predictions touch no gold at all."""
    query = """
        SELECT runs.name, documents.lang, documents.id, gold_json FROM documents JOIN runs ON runs.id = run_id
        WHERE gold_json IS NOT NULL AND documents.status = 'done' ORDER BY runs.id, documents.id
    """
    found = "SELECT text_start, text_end, tag FROM entities WHERE document_id = ? AND text_start IS NOT NULL"
    tally: dict[tuple[str, str], Counter[str]] = {}
    with sqlite3.connect(database) as connection:
        for name, lang, document, gold_json in connection.execute(query):
            if not name.endswith(suffix):
                continue
            counts = tally.setdefault((name.removesuffix(suffix), lang), Counter())
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
    """One route over the sample: its report, wall and CPU seconds of this call (less when it resumed)."""
    common = ["--state", str(chosen.state), "--run", f"{name}-{corpus.stem}"]
    print(f"== {name}", file=sys.stderr, flush=True)
    started, before = time.monotonic(), cpu_seconds()
    command = [EAT, "run", corpus, *common, "--model", chosen.model, "--no-back-translation", *ROUTES[name], "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 3):
        sys.exit(done.returncode)
    wall, cpu = time.monotonic() - started, cpu_seconds() - before
    report = subprocess.run([EAT, "report", *common, "--json"], stdout=subprocess.PIPE, check=True)
    return {"wall_seconds": wall, "cpu_seconds": cpu, **json.loads(report.stdout)}


def cpu_seconds() -> float:
    """Of all processes that this one has started and that have ended, workers included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row_of(result: dict[str, Any], lang: str) -> dict[str, Any]:
    """The row of one language, or of all."""
    return next((row for row in result["rows"] if row["lang"] == lang), {})


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """One line per route and language, then what became of the English entities."""
    lines = [
        "| route | lang | sentences | F1 | 95 % | P | R | span F1 | engine s | tokens read | written |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        lines += [line(name, row) for row in result["rows"]]
    lines.append("")
    for name, result in results.items():
        all_rows = row_of(result, "all")
        lines.append(f"{name}: {result['cpu_seconds']:.0f} CPU seconds for {all_rows['documents']} sentences.")
    for name, result in results.items():
        lines += ["", f"Ledger of {name}:", ""]
        for row in result["rows"]:
            outcomes = ", ".join(f"{key} {count}" for key, count in row["outcomes"].items())
            lines.append(f"- {row['lang']}: {outcomes}")
    return "\n".join([*lines, "", ""])


def line(name: str, row: dict[str, Any]) -> str:
    """One line of the table; figures are per sentence where they are no scores."""
    strict, span, number = row["token_strict"], row["span"], max(row["documents"], 1)
    scores = ["-"] * 5
    if strict:
        interval = f"{strict['low']:.1f}-{strict['high']:.1f}"
        scores = [f"{strict['f1']:.1f}", interval, f"{strict['precision']:.1f}", f"{strict['recall']:.1f}"]
        scores.append(f"{span['f1']:.1f}" if span else "-")
    read = (row["prompt_tokens"] - row["cached_tokens"]) / number
    cost = [f"{row['seconds_per_sentence']:.1f}", f"{read:.0f}", f"{row['generated_tokens'] / number:.0f}"]
    return f"| {name} | {row['lang']} | {row['documents']} | {' | '.join([*scores, *cost])} |"


if __name__ == "__main__":
    main()
