"""The kill loop with a real model on this machine's CPU: does a killed run say the same as one left in peace?

Chats run one at a time: above that an answer depends in its last digits on what is computed beside it.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from campaigns import audit
from campaigns.kill_loop import Crew, Look, loop, wait
from campaigns.record import Outcome
from campaigns.run_site import Site, eventually
from eat_worker.errors import ModelMissing
from eat_worker.method.config import MethodConfig
from eat_worker.storage.store import open_store

CORPUS = Path(__file__).resolve().parents[2] / "examples" / "quickstart.jsonl"
PATIENCE_SECONDS = 120.0
GIVE_UP_SECONDS = 3600.0


class RealSite(Site):
    """A run of the quickstart corpus, repeated under other ids until there are enough documents."""

    def prepare(self, seconds: float) -> None:
        """Write the corpus."""
        del seconds  # the model takes its own
        records = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines() if line.strip()]
        lines = []
        for number in range(self.documents):
            known = records[number % len(records)]
            lines.append({**known, "id": f"{known.get('id', 'd')}-{number}"})
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (self.folder / "corpus.jsonl").write_text(text, encoding="utf-8")


def real_model(
    outcome: Outcome,
    folder: Path,
    *,
    settings: dict[str, Any],
    documents: int,
    kills: int,
    seed: int,
    tell: Callable[[str], None],
) -> None:
    """So many kills over so many documents; `settings` name the engine and the model."""
    usual = {"forward": MethodConfig().forward, "alignment": MethodConfig().alignment}
    given = {"script": "", **usual, "slots": 1, "lease_seconds": 10.0, **settings}
    chance = random.Random(seed)
    try:
        undisturbed = _undisturbed(folder / "undisturbed", documents, given, tell)
    except ModelMissing as error:
        outcome.skipped = str(error)
        return
    with ExitStack() as stack:
        site = RealSite(folder / "site", documents, concurrency=2, **given)
        stack.callback(site.close)
        site.submit()
        store = stack.enter_context(open_store(site.settings.database))
        crew, look = Crew(site, chance, {}), Look(store)
        crew.start()
        loop(crew, look, kills, 0, tell=tell, patience=PATIENCE_SECONDS)
        crew.disarm()
        wait(crew, GIVE_UP_SECONDS, lambda: look() == documents)
        finished = time.monotonic() - crew.last_kill
        crew.drain()
        found = audit.findings(store, documents, scripted=False)
        disturbed = [json.loads(line) for line in audit.dump(store)]
    pairs = list(zip(undisturbed, disturbed, strict=True))
    outcome.counts |= {
        "model": site.settings.model,
        "documents": documents,
        "kills": dict(crew.kills),
        "named points struck": len(set(site.strikes())),
        "rounds stored": found.rounds,
        "rounds asked": site.requests(),
        "documents with other rounds": sum(one["rounds"] != other["rounds"] for one, other in pairs),
        "seconds from the last kill to the end": round(finished, 1),
    }
    outcome.at_most("lost", 0, found.lost)
    outcome.at_most("duplicated", 0, found.duplicated)
    outcome.at_most("half-written", 0, found.half_written)
    outcome.at_least("SIGKILLs", kills, crew.kills.total())
    differ = sum(one["entities"] != other["entities"] for one, other in pairs)
    outcome.at_most("documents with other entities than undisturbed", 0, differ)
    outcome.holds("annotations byte-identical to an undisturbed run", true=undisturbed == disturbed)
    in_flight = site.settings.documents_at_once
    wasted = site.requests() - found.rounds
    outcome.at_most("wasted rounds (kills x documents in flight)", crew.kills.total() * in_flight, wasted)


def _undisturbed(folder: Path, documents: int, given: dict[str, Any], tell: Callable[[str], None]) -> list[Any]:
    site = RealSite(folder, documents, broker_url="none", concurrency=1, **given)
    try:
        site.submit()
        worker = site.worker()
        worker.start()
        began = time.monotonic()
        with open_store(site.settings.database) as store:
            eventually(lambda: audit.done(store) == documents, "the undisturbed run", GIVE_UP_SECONDS, 1.0)
            worker.end(15)
            tell(f"undisturbed: {documents} documents in {time.monotonic() - began:.0f} s")
            return [json.loads(line) for line in audit.dump(store)]
    finally:
        site.close()
