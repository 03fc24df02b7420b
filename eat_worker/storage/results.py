"""What a worker writes about a document it holds: rounds, English entities, alignments and scores.

Runs inside the transaction whose fence its caller has passed. Knows nothing of leases or of what comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, select

from eat_worker.errors import ConfigurationError
from eat_worker.method.document import RoundOutput
from eat_worker.storage.engine import Transaction, Upsert
from eat_worker.storage.rows import (
    ALIGNMENT,
    ENGLISH_ENTITY,
    ROUND,
    SCORES,
    alignment_row,
    english_row,
    round_row,
    scores_row,
)
from eat_worker.storage.statements import USAGE_COLUMNS
from eat_worker.storage.tables import entities, now, prompts, rounds, scores
from eat_worker.storage.values import Claim, Lease, StageResult

_ROUND_KEY = ("document_id", "stage", "entity", "round")
PUT_ROUND = Upsert(
    rounds,
    key=_ROUND_KEY,
    columns=("document_id", "attempt", "prompt_id", *ROUND),
    replace=("attempt", "prompt_id", "created_at", *(name for name in ROUND if name not in _ROUND_KEY)),
    fixed={"created_at": now()},
)
PROMPT_ID = select(prompts.c.id).where(prompts.c.sha256 == bindparam("sha256"))
CLEAR_ENTITIES = delete(entities).where(entities.c.document_id == bindparam("document_id"))
PUT_ENGLISH = Upsert(
    entities, key=("document_id", "idx"), columns=("document_id", *ENGLISH_ENTITY), replace=ENGLISH_ENTITY[1:]
)
PUT_ALIGNMENT = Upsert(
    entities,
    key=("document_id", "idx"),
    columns=("document_id", *ENGLISH_ENTITY, *ALIGNMENT),
    replace=(*ENGLISH_ENTITY[1:], *ALIGNMENT),
)
PUT_SCORES = Upsert(scores, key=("document_id",), columns=("document_id", *SCORES), replace=SCORES)
USAGE = select(
    func.count(),
    # Chats answered at the same time share the engine, so each has its part of those seconds.
    func.coalesce(func.sum(rounds.c.seconds / rounds.c.batch_size), 0),
    *(func.coalesce(func.sum(rounds.c[name]), 0) for name in ("prompt_tokens", "cached_tokens", "generated_tokens")),
).where(rounds.c.document_id == bindparam("document_id"))


class Results:
    """Writes rounds and results; may be shared by threads."""

    def __init__(self) -> None:
        self._prompts: dict[str, int] = {}  # row of a prompt by its SHA-256; a row never changes

    def put_rounds(self, transaction: Transaction, claim: Claim | Lease, outputs: Sequence[RoundOutput]) -> None:
        """A round recorded before is replaced. Raises ConfigurationError when a prompt is not registered."""
        key = {"document_id": claim.document_id, "attempt": claim.attempt}
        transaction.many(
            PUT_ROUND,
            [
                {**key, "prompt_id": self._prompt_key(transaction, output.prompt_id), **round_row(output)}
                for output in outputs
            ],
        )

    def put_result(self, transaction: Transaction, claim: Claim, result: StageResult) -> None:
        """What the result has of entities, alignments and scores; its texts go into the document's own row."""
        key = {"document_id": claim.document_id}
        if result.english_entities is not None:
            transaction.run(CLEAR_ENTITIES, **key)
            transaction.many(PUT_ENGLISH, [{**key, **english_row(entity)} for entity in result.english_entities])
        if result.alignments is not None:
            transaction.many(PUT_ALIGNMENT, [{**key, **alignment_row(alignment)} for alignment in result.alignments])
        if result.scores is not None:
            transaction.run(PUT_SCORES, **key, **scores_row(result.scores))

    def _prompt_key(self, transaction: Transaction, sha256: str) -> int:
        key = self._prompts.get(sha256)
        if key is None:
            row = transaction.row(PROMPT_ID, sha256=sha256)
            if row is None:
                raise ConfigurationError(f"prompt {sha256} is not registered: its round could never be read again")
            key = self._prompts[sha256] = int(row[0])
        return key


def usage_of(transaction: Transaction, document_id: int) -> dict[str, Any]:
    """What the document's rounds add up to, as values for USAGE_COLUMNS."""
    sums = transaction.rows(USAGE, document_id=document_id)[0]
    return {f"sum_{name}": value for name, value in zip(USAGE_COLUMNS, sums, strict=True)}
