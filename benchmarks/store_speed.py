"""How fast the store is: submit, status, report and one document's transactions. Prints JSON.

    python benchmarks/store_speed.py [--documents 100000] [--url URL] [--seed 1]

Without --url a fresh SQLite file in a temporary folder; another database must be at head and empty. The scored
documents are written with plain SQL: what is measured is how they are read.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import text

from eat_worker.method.config import MethodConfig
from eat_worker.method.document import (
    Alignment,
    Document,
    EnglishEntity,
    GoldEntity,
    Outcome,
    RoundOutput,
    Span,
    Stage,
)
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.tables import BLEU_STATS, COUNTS
from eat_worker.storage.values import Claim, Run, RunSpec, Scores, StageResult

TEXT = "김철수는 서울에서 열린 국제 회의에 참석해 새로운 연구 결과를 발표했다 그는 어제 부산으로 돌아왔다"
LEASE = 60.0


def documents(number: int, seed: int) -> Iterator[Document]:
    """Sentences of 10 to 20 Korean words with two gold entities."""
    chance, words = random.Random(seed), TEXT.split()
    gold = (GoldEntity(0, 3, "PER"), GoldEntity(5, 7, "LOC"))
    for index in range(number):
        sentence = " ".join(chance.choices(words, k=chance.randint(10, 20)))
        yield Document(f"{sentence} {index}", "ko", ext_id=f"s-{index}", gold=gold)


def add_run(store: Store, name: str) -> Run:
    """A run with the default settings."""
    queues = {"forward": "gpu", "extract": "gpu", "backward": "gpu", "back_translation": "gpu"}
    store.runs.add_prompts([("p", "forward", 1, "Translate {text}.", "restated")])
    return store.runs.add_run(RunSpec(name, "ko", "bench", MethodConfig(), "f", {"name": "scripted"}, queues))


def timed(action: Callable[[], Any], repeat: int = 1) -> tuple[float, float]:
    """(wall, CPU) seconds of the quickest run."""
    best = (float("inf"), float("inf"))
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        action()
        best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
    return best


def one_document(store: Store, claim: Claim) -> None:
    """Claim, ten rounds as they are said, three stages kept and the last one: what a worker writes."""
    variables = {"text": claim.document.text, "translation": "Kim Cheol-su spoke in Seoul."}

    def said(claim: Claim, entity: int, number: int) -> None:
        answer = "Kim Cheol-su presented the results. " * 8
        stage = claim.stage
        store.queue.add_round(claim, RoundOutput(stage, entity, number, "p", variables, answer, 300, 200, 60, 1.5))

    def step(claim: Claim, result: StageResult, stage: Stage) -> Claim:
        kept = store.queue.commit_stage(claim, result, stage, keep=True, lease_seconds=LEASE)
        assert kept is not None
        return kept

    for number in (1, 2, 3):
        said(claim, -1, number)
    claim = step(claim, StageResult(english="Kim Cheol-su spoke in Seoul."), Stage.EXTRACT)
    said(claim, -1, 1)
    found = tuple(EnglishEntity(index, "Kim", "PER", Span(0, 3)) for index in (0, 1))
    claim = step(claim, StageResult(english_entities=found), Stage.BACKWARD)
    for entity in (0, 1):
        for number in (1, 2, 3):
            said(claim, entity, number)
    aligned = tuple(Alignment(entity, Outcome.EXACT, Span(0, 3), "list", "김", 0.9) for entity in found)
    claim = step(claim, StageResult(alignments=aligned, back_translation=claim.document.text), Stage.SCORE)
    scores = Scores((3, 1, 0), (3, 1, 0), (1, 0, 0), {"strict/PER": (3, 1, 0)}, 40.0, "s", tuple(range(10)), 0.9)
    store.queue.commit_stage(claim, StageResult(scores=scores), Stage.DONE, keep=True, lease_seconds=LEASE)


def work(store: Store, number: int) -> None:
    """Takes hints and works them off, as one worker."""
    left = number
    while left:
        for hint in store.queue.take_hints(min(left, 64), window=64, stale_after=60):
            claim = store.queue.claim(hint.document_id, hint.stage, "w", LEASE)
            assert claim is not None
            one_document(store, claim)
            left -= 1


def score_all(store: Store, run: Run, seed: int) -> None:
    """Ends every document of the run with scores of its own."""
    chance = random.Random(seed)
    tags = ("PER", "LOC", "ORG")
    outcomes = [str(outcome) for outcome in Outcome]
    columns = ("document_id", *COUNTS, "per_tag_json", "bleu", "bleu_signature", *BLEU_STATS, "entropy_loss")
    insert_score = text(f"INSERT INTO scores ({', '.join(columns)}) VALUES ({', '.join(':' + c for c in columns)})")
    insert_entity = text(
        "INSERT INTO entities (document_id, idx, words, tag, outcome, via, answer)"
        " VALUES (:document_id, :idx, 'Kim', 'PER', :outcome, 'list', '김')"
    )
    with store.database.write() as transaction:
        keys = [key for (key,) in transaction.rows(text("SELECT id FROM documents WHERE run_id = :run"), run=run.id)]
        rows, entities = [], []
        for key in keys:
            counts = [chance.randint(0, 4) for _ in COUNTS]
            per_tag = {f"strict/{tag}": [chance.randint(0, 3) for _ in range(3)] for tag in tags}
            stats = {name: chance.randint(0, 30) for name in BLEU_STATS}
            rows.append(
                {
                    "document_id": key,
                    **dict(zip(COUNTS, counts, strict=True)),
                    **stats,
                    "per_tag_json": json.dumps(per_tag, separators=(",", ":")),
                    "bleu": chance.uniform(0, 100),
                    "bleu_signature": "nrefs:1|case:mixed|eff:yes|tok:ko-mecab|smooth:exp|version:2.6.0",
                    "entropy_loss": chance.uniform(0.5, 1.2),
                }
            )
            entities += [{"document_id": key, "idx": i, "outcome": chance.choice(outcomes)} for i in range(3)]
        transaction.many(insert_score, rows)
        transaction.many(insert_entity, entities)
        transaction.run(
            text(
                "UPDATE documents SET status = 'done', stage = 'done', finished_at = 2000000000, round_count = 10,"
                " round_seconds = 15.0, prompt_tokens = 3000, cached_tokens = 2000, generated_tokens = 600,"
                " english = text, back_translation = text WHERE run_id = :run"
            ),
            run=run.id,
        )


def measure(url: str, number: int, seed: int) -> dict[str, Any]:
    """All figures, in seconds and milliseconds as named."""
    figures: dict[str, Any] = {"documents": number, "seed": seed}
    with open_store(url, create=True) as store:
        small = add_run(store, "worked")
        store.runs.add_documents(small.id, documents(400, seed + 1))
        work(store, 50)  # statements compiled, caches warm
        wall, cpu = timed(lambda: work(store, 300))
        figures["document_wall_ms"] = round(wall / 300 * 1000, 2)
        figures["document_cpu_ms"] = round(cpu / 300 * 1000, 2)

        run = add_run(store, "large")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wall, cpu = timed(lambda: store.runs.add_documents(run.id, documents(number, seed)))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        figures |= {"submit_s": round(wall, 2), "submit_per_s": round(number / wall), "submit_cpu_s": round(cpu, 2)}
        figures |= {"submit_peak_rss_mib": after // 1024, "submit_rss_growth_mib": (after - before) // 1024}
        wall, _ = timed(lambda: store.runs.add_documents(run.id, documents(number, seed)))
        figures["submit_again_s"] = round(wall, 2)
        wall, _ = timed(lambda: store.queue.take_hints(256, window=10**9, stale_after=60), repeat=5)
        figures["take_256_hints_ms"] = round(wall * 1000, 2)
        wall, _ = timed(lambda: store.reading.run_status(run.id), repeat=5)
        figures["run_status_queued_ms"] = round(wall * 1000, 1)

        score_all(store, run, seed)
        wall, _ = timed(lambda: store.reading.run_status(run.id), repeat=5)
        figures["run_status_done_ms"] = round(wall * 1000, 1)
        wall, _ = timed(lambda: store.reading.score_sums(dataset="bench", run="large"), repeat=3)
        figures["score_sums_s"] = round(wall, 2)
        wall, _ = timed(lambda: list(store.reading.iter_texts(run.id, "bench", "ko")))
        figures["iter_texts_s"] = round(wall, 2)
        wall, _ = timed(lambda: [None for _ in store.reading.iter_annotations(run.id)])
        figures["iter_annotations_s"] = round(wall, 2)
    return figures


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite:///{Path(folder) / 'eat.db'}"
        figures = measure(url, given.documents, given.seed)
    machine = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "machine": platform.machine()}
    print(json.dumps({**machine, **figures}, indent=2))


if __name__ == "__main__":
    main()
