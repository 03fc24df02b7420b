"""What the queue costs: CPU milliseconds per document through broker, claims, rounds, commits and scores. Prints JSON.

    python benchmarks/queue_overhead.py [--documents 2000] [--broker none] [--profile FILE]

The scripted engine answers at once, so that nearly all that is measured is ours: ten rounds per document, every one of
them stored. `cpu_ms_per_document` is user + system time of the worker process, dispatcher included, less the time that
a worker with nothing to do takes to start and stop; the embedded server's time stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from eat_worker.jobs.broker.server import EmbeddedServer
from eat_worker.jobs.supervisor import environment
from eat_worker.runs.submitting import submit
from eat_worker.settings import Settings, load_settings
from eat_worker.storage.store import open_store

TEXT = "Gestern traf Ministerin {n} in Seoel den Sprecher der Bank und sprach mit ihm lange über die neue Brücke"
ENGLISH = "Yesterday Minister {n} met the speaker of the bank in Seoul and talked to him for long about the new bridge"
WORK = """
import cProfile, sys
from pathlib import Path
from eat_worker.jobs.worker import serve
from eat_worker.settings import load_settings
import os
settings = load_settings({}, directory=Path.cwd(), environ=os.environ)
runs = [int(word) for word in sys.argv[2:]]
if sys.argv[1] == "-":
    sys.exit(serve(settings, until=lambda store: store.reading.count_unfinished(runs) == 0))
import threading
profiles = []
inside = threading.Thread.run
def run(self):
    profile = cProfile.Profile()
    profiles.append(profile)
    profile.runcall(inside, self)
threading.Thread.run = run
code = serve(settings, until=lambda store: store.reading.count_unfinished(runs) == 0)
import pstats
stats = pstats.Stats(*[profile for profile in profiles if profile.getstats()])
stats.dump_stats(sys.argv[1])
sys.exit(code)
"""


def prepared(folder: Path, documents: int, broker: str) -> tuple[Settings, int]:
    """Settings and the run of a scripted corpus."""
    script, corpus = folder / "script.jsonl", folder / "corpus.jsonl"
    with script.open("w", encoding="utf-8") as lines, corpus.open("w", encoding="utf-8") as records:
        for number in range(documents):
            text = TEXT.format(n=number)
            known = {"text": text, "english": ENGLISH.format(n=number), "entities": [["Seoul", "LOC", "Seoel"]]}
            record = {
                "text": text,
                "entities": [{"start": text.index("Seoel"), "end": text.index("Seoel") + 5, "tag": "LOC"}],
            }
            lines.write(json.dumps(known, ensure_ascii=False) + "\n")
            records.write(json.dumps(record, ensure_ascii=False) + "\n")
    settings = load_settings(
        {
            "state": folder / "state",
            "engine": "scripted",
            "script": str(script),
            "forward": "free",
            "alignment": "free",
            "broker_url": broker,
        },
        directory=folder,
        environ={"HOME": str(folder)},
    )
    name = submit(settings, corpus, lang="de", dataset="bench").run
    with open_store(settings.database) as store:
        return settings, store.runs.get_run(name).id


def worked(settings: Settings, run_ids: list[int], profile: str) -> tuple[float, float, int]:
    """CPU seconds, wall seconds and peak RSS (KiB) of a worker that serves until these runs are done."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    arguments = [sys.executable, "-c", WORK, profile, *map(str, run_ids)]
    subprocess.run(arguments, env=environment(settings), cwd=settings.state, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - began, after.ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--broker", default="")
    parser.add_argument("--profile", default="-", help="file for a cProfile record (makes the figures worthless)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eatbench") as name:
        settings, run_id = prepared(Path(name), options.documents, options.broker)
        with EmbeddedServer(settings.state) as server:
            process = psutil.Process(int(server.pid_file.read_text()))
            idle, _, _ = worked(settings, [], "-")
            served = sum(process.cpu_times()[:2])
            cpu, wall, rss = worked(settings, [run_id], options.profile)
            served = sum(process.cpu_times()[:2]) - served
        with open_store(settings.database) as store:
            status = store.reading.run_status(run_id)[0]
    print(
        json.dumps(
            {
                "documents": options.documents,
                "done": status.documents["done"],
                "rounds_per_document": status.rounds / options.documents,
                "cpu_ms_per_document": round(1000 * (cpu - idle) / options.documents, 2),
                "start_and_stop_cpu_seconds": round(idle, 2),
                "server_cpu_ms_per_document": round(1000 * served / options.documents, 2),
                "documents_per_second": round(options.documents / wall, 1),
                "peak_rss_mib": round(rss / 1024, 1),
                "broker": options.broker or "embedded",
                "load": os.getloadavg()[0],
                "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
