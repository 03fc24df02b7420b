"""kill -9 in the middle of a real run, run again: the same results, and no stored round asked twice? Prints JSON.

    python benchmarks/kill_and_resume.py [--model NAME] [--limit 6] [--after 12]

Annotates the quickstart corpus once undisturbed and once with `eat run` and its worker killed after so many stored
rounds, then run again. Compares every round and every entity of the two.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

EAT = [sys.executable, "-m", "eat_worker"]
CORPUS = Path(__file__).resolve().parent.parent / "examples" / "quickstart.jsonl"
ROUNDS = "SELECT document_id, stage, entity, round, output, created_at FROM rounds ORDER BY 1, 2, 3, 4"
ENTITIES = "SELECT document_id, idx, words, tag, outcome, text_start, text_end FROM entities ORDER BY 1, 2"


def main() -> None:
    """Two runs in temporary folders, and what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct-q4_k_m")
    parser.add_argument("--limit", type=int, default=6)
    parser.add_argument("--slots", type=int, default=1, help="above 1 a chat's answer depends on what it runs beside")
    parser.add_argument("--after", type=int, default=12, help="stored rounds before the kill")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        job = [*EAT, "run", str(CORPUS), "--limit", str(chosen.limit), "--model", chosen.model, "--run", "r"]
        job += ["--slots", str(chosen.slots), "--state"]
        subprocess.run([*job, first], stdout=subprocess.DEVNULL, check=True)
        running = subprocess.Popen([*job, second], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stored = kill_after(running, Path(second) / "eat.db", chosen.after)
        began = time.monotonic()
        subprocess.run([*job, second], stdout=subprocess.DEVNULL, check=True)
        resumed = time.monotonic() - began
        undisturbed, disturbed = rows(Path(first) / "eat.db", ROUNDS), rows(Path(second) / "eat.db", ROUNDS)
        record = {
            "model": chosen.model,
            "documents": chosen.limit,
            "slots": chosen.slots,
            "rounds": len(undisturbed),
            "rounds_stored_at_the_kill": len(stored),
            # A round asked again would have been stored again, at another time.
            "stored_rounds_asked_again": len(set(stored) - set(disturbed)),
            "rounds_that_differ": len(
                {row[:4] for row in {row[:5] for row in undisturbed} ^ {row[:5] for row in disturbed}}
            ),
            "same_number_of_rounds": len(undisturbed) == len(disturbed),
            "same_entities": rows(Path(first) / "eat.db", ENTITIES) == rows(Path(second) / "eat.db", ENTITIES),
            "seconds_to_finish_after_the_kill": round(resumed, 1),
        }
    print(json.dumps(record, indent=1))


def kill_after(running: subprocess.Popen[bytes], database: Path, rounds: int) -> list[tuple[Any, ...]]:
    """Kill `eat run` and its worker when so many rounds are stored; those rounds."""
    while not database.exists() or len(rows(database, ROUNDS)) < rounds:
        time.sleep(0.2)
    parent = psutil.Process(running.pid)
    for process in [parent, *(child for child in parent.children() if "worker" in child.cmdline())]:
        process.kill()
    running.wait()
    return rows(database, ROUNDS)


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query; none while the tables are not there yet."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()


if __name__ == "__main__":
    main()
