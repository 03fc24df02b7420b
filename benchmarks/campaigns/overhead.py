"""What the safety costs: CPU per document, and how much of an engine's ceiling is left.

CPU by `queue_overhead.py` (an engine that answers at once). The ceiling by an engine that answers in batches of
`batch` and takes 0.2 s + 0.01 s per chat for each; twice as many documents are in hand, and the middle of the run is
looked at, where all of them are.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from campaigns import audit
from campaigns.record import Outcome
from campaigns.run_site import Site, eventually, rounds_of
from eat_worker.storage.store import open_store

QUEUE_OVERHEAD = Path(__file__).resolve().parents[1] / "queue_overhead.py"
SECONDS, SECONDS_PER_CHAT = 0.2, 0.01
CPU_MS, SHARE = 12.0, 95.0
MIDDLE = (0.2, 0.8)
INSTANTS = "SELECT created_at FROM rounds ORDER BY created_at"


class BatchingSite(Site):
    """A run whose engine answers in batches."""

    batch = 32

    def prepare(self, seconds: float) -> None:
        """Write script and corpus."""
        super().prepare(0.0)
        batches = {"batch": self.batch, "seconds": seconds, "seconds_per_chat": SECONDS_PER_CHAT}
        with (self.folder / "script.jsonl").open("a", encoding="utf-8") as script:
            script.write(json.dumps(batches) + "\n")


def overhead(
    outcome: Outcome, folder: Path, *, documents: int, batch: int, batched: int, tell: Callable[[str], None]
) -> None:
    """CPU over so many `documents`; the ceiling over `batched` documents in batches of `batch`."""
    command = [sys.executable, str(QUEUE_OVERHEAD), "--documents", str(documents)]
    measured = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    tell(f"{measured['cpu_ms_per_document']} ms of CPU per document")
    outcome.counts |= {f"queue_overhead: {name}": value for name, value in measured.items()}
    outcome.at_most("worker CPU per document in ms", CPU_MS, measured["cpu_ms_per_document"])
    ceiling = batch / (SECONDS + SECONDS_PER_CHAT * batch)
    reached = _rounds_per_second(folder / "batches", batched, batch)
    tell(f"{reached:.1f} of {ceiling:.1f} rounds per second")
    outcome.counts |= {
        "batch": batch,
        "documents in hand": 2 * batch,
        "documents": batched,
        "rounds": rounds_of(batched),
        "ceiling in rounds per second": round(ceiling, 1),
        "rounds per second in the middle of the run": round(reached, 1),
    }
    outcome.at_least("% of the engine's ceiling", SHARE, round(100 * reached / ceiling, 1))


def _rounds_per_second(folder: Path, documents: int, batch: int) -> float:
    BatchingSite.batch = batch
    site = BatchingSite(folder, documents, seconds=SECONDS, slots=batch)
    try:
        site.submit()
        worker = site.worker()
        worker.start()
        with open_store(site.settings.database) as store:
            eventually(lambda: audit.done(store) == documents, "the end of the run", 3600, 1.0)
            instants = [row[0] for row in audit.query(store, INSTANTS)]
        worker.end(15)
    finally:
        site.close()
    first, last = (round(share * len(instants)) for share in MIDDLE)
    return (last - first) / float(instants[last] - instants[first])
