"""How long whole commands take on 100,000 documents: submit, submit again, status, report, export. Prints JSON.

    python benchmarks/command_speed.py [--documents 100000] [--seed 1]

Processes from start to end, as a user waits for them. The corpus is synthetic Korean with gold; what the
report and the export read is written with SQL, because what is measured is how it is read.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import orjson
from store_speed import documents, score_all

from eat_worker.storage.store import open_store

EAT = [sys.executable, "-m", "eat_worker"]


def main() -> None:
    """Measure in a temporary folder and print the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        corpus = write_corpus(state / "corpus.jsonl", chosen.documents, chosen.seed)
        submit = ["submit", str(corpus), "--lang", "ko", "--run", "bench", "--engine", "scripted"]
        record: dict[str, Any] = {"documents": chosen.documents, "help": measured(state, ["--help"])}
        record["submit"] = measured(state, submit)
        record["submit_again"] = measured(state, submit)
        record["status"] = min((measured(state, ["status"]) for _ in range(3)), key=lambda row: row["seconds"])
        # In a process of its own: a child is charged with the peak memory of the process that starts it.
        scoring = get_context("spawn").Process(target=score, args=(state, chosen.seed))
        scoring.start()
        scoring.join()
        record["report"] = min((measured(state, ["report"]) for _ in range(3)), key=lambda row: row["seconds"])
        record["export"] = measured(state, ["export", "bench"])
    record["documents_per_second_submitted"] = round(chosen.documents / record["submit"]["seconds"])
    print(json.dumps(record, indent=1))


def score(state: Path, seed: int) -> None:
    """End every document with scores."""
    with open_store(f"sqlite:///{state / '.eat' / 'eat.db'}") as store:
        score_all(store, store.runs.get_run("bench"), seed)


def write_corpus(path: Path, number: int, seed: int) -> Path:
    """`number` documents as JSON Lines."""
    with path.open("wb") as file:
        for document in documents(number, seed):
            entities = [{"start": gold.start, "end": gold.end, "tag": gold.tag} for gold in document.gold or ()]
            file.write(orjson.dumps({"id": document.ext_id, "text": document.text, "entities": entities}) + b"\n")
    return path


def measured(state: Path, arguments: list[str]) -> dict[str, float]:
    """Wall seconds, CPU seconds and peak memory (MiB) of one command."""
    command = [*EAT, *arguments, *([] if arguments == ["--help"] else ["--state", str(state / ".eat")])]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(process.returncode)
    cpu = usage.ru_utime + usage.ru_stime
    return {"seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3), "peak_mib": round(usage.ru_maxrss / 1024, 1)}


if __name__ == "__main__":
    main()
