"""Reads a run's rows and says what is wrong with them: lost, committed twice, half written, written by a zombie.

Knows the tables. Knows nothing of what was done to the run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from campaigns.run_site import ROUNDS, ROUNDS_PER_ENTITY, STAGES
from eat_worker.errors import EatError
from eat_worker.storage.store import Store

# A written instant may be this much off on SQLite, whose clock is a Julian day in a double.
CLOCK_SECONDS = 0.002
STATUSES = "SELECT status, count(*) FROM documents GROUP BY status"
TWICE = """SELECT count(*) FROM (SELECT document_id, stage FROM attempts WHERE outcome = 'committed'
    GROUP BY document_id, stage HAVING count(*) > 1) AS twice"""
# What a finished document must have, and nothing else: every stage, every round, every entity aligned, a score.
HALF = f"""SELECT count(*) FROM documents d WHERE d.status = 'done' AND (
    d.english IS NULL OR d.back_translation IS NULL OR d.stage <> 'done' OR d.finished_at IS NULL
    OR d.lease_owner IS NOT NULL
    OR (SELECT count(*) FROM attempts a WHERE a.document_id = d.id AND a.outcome = 'committed') <> {STAGES}
    OR EXISTS (SELECT 1 FROM attempts a WHERE a.document_id = d.id AND a.ended_at IS NULL)
    OR EXISTS (SELECT 1 FROM entities e WHERE e.document_id = d.id AND e.outcome IS NULL)
    OR NOT EXISTS (SELECT 1 FROM scores s WHERE s.document_id = d.id)
    OR d.round_count <> (SELECT count(*) FROM rounds r WHERE r.document_id = d.id))"""
# The scripted corpus has as many rounds per entity as can be counted; a model's answers decide that by themselves.
ROUNDS_AMISS = f"""SELECT count(*) FROM documents d WHERE d.status = 'done' AND d.round_count <>
    {ROUNDS} + {ROUNDS_PER_ENTITY} * (SELECT count(*) FROM entities e WHERE e.document_id = d.id)"""
# Rounds written under an attempt after that attempt had ended.
ZOMBIES = f"""SELECT count(*) FROM rounds r JOIN attempts a ON a.document_id = r.document_id AND a.attempt = r.attempt
    WHERE r.created_at > a.ended_at + {CLOCK_SECONDS}"""
OUTCOMES = "SELECT outcome, count(*) FROM attempts GROUP BY outcome"
COUNTS = "SELECT (SELECT count(*) FROM rounds), (SELECT count(*) FROM entities), (SELECT count(*) FROM documents)"
DOCUMENTS = "SELECT id, ext_id, lang, text, status, english, back_translation FROM documents ORDER BY ext_id"
PARTS = {
    "entities": "SELECT document_id, idx, words, tag, english_start, english_end, fault, outcome, text_start, "
    "text_end, via, answer FROM entities ORDER BY document_id, idx",
    "rounds": "SELECT r.document_id, r.stage, r.entity, r.round, p.sha256, r.output FROM rounds r "
    "JOIN prompts p ON p.id = r.prompt_id ORDER BY r.document_id, r.stage, r.entity, r.round",
    "scores": "SELECT document_id, strict_tp, strict_fp, strict_fn, official_tp, official_fp, official_fn, span_tp, "
    "span_fp, span_fn, per_tag_json, bleu, entropy_loss FROM scores ORDER BY document_id",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with a run that should be done, and how much there is of everything."""

    lost: int
    duplicated: int
    half_written: int
    zombie_writes: int
    rounds: int
    entities: int
    statuses: dict[str, int]
    outcomes: dict[str, int]


def query(store: Store, sql: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    with store.database.read() as transaction:
        return transaction.rows(text(sql))


def statuses(store: Store) -> dict[str, int]:
    """Documents by status; empty while the database is away."""
    try:
        return {str(status): int(count) for status, count in query(store, STATUSES)}
    except EatError:
        return {}


def done(store: Store) -> int:
    """Documents that are done, 0 while the database is away."""
    return statuses(store).get("done", 0)


def findings(store: Store, documents: int, *, scripted: bool = True) -> Findings:
    """Everything that is wrong with a run of so many documents, by a real model unless `scripted`."""
    rounds, entities, there = query(store, COUNTS)[0]
    by_status = statuses(store)
    return Findings(
        lost=documents - by_status.get("done", 0),
        duplicated=query(store, TWICE)[0][0] + max(0, there - documents),
        half_written=query(store, HALF)[0][0] + (query(store, ROUNDS_AMISS)[0][0] if scripted else 0),
        zombie_writes=query(store, ZOMBIES)[0][0],
        rounds=rounds,
        entities=entities,
        statuses=by_status,
        outcomes={str(outcome): int(count) for outcome, count in query(store, OUTCOMES)},
    )


def dump(store: Store) -> Iterator[str]:
    """The annotations, one JSON line per document in the order of their own ids; no number that a database gave."""
    parts: dict[str, dict[int, list[list[Any]]]] = {}
    for name, sql in PARTS.items():
        parts[name] = {}
        for document_id, *values in query(store, sql):
            parts[name].setdefault(document_id, []).append(values)
    for document_id, *about in query(store, DOCUMENTS):
        of_document = {name: rows.get(document_id, []) for name, rows in parts.items()}
        yield json.dumps({"document": about, **of_document}, ensure_ascii=False, sort_keys=True)


def digest(store: Store) -> str:
    """SHA-256 of the annotations."""
    whole = hashlib.sha256()
    for line in dump(store):
        whole.update(line.encode() + b"\n")
    return whole.hexdigest()
