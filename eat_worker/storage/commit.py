"""What a worker writes about a document it holds: rounds and stage results. Every write is fenced.

The fence is a row lock on the document together with the claim's attempt and owner: a worker whose lease went to
another one finds neither, and its transaction writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Text, bindparam, delete, func, null, select, update

from eat_worker.errors import ConfigurationError, LeaseLost
from eat_worker.method.document import Alignment, EnglishEntity, RoundOutput, Stage
from eat_worker.storage.engine import Transaction, Upsert
from eat_worker.storage.leases import FREED, LEASE, RUNNING
from eat_worker.storage.queue import ADD_ATTEMPT, Queue
from eat_worker.storage.rows import (
    ALIGNMENT,
    ENGLISH_ENTITY,
    ROUND,
    SCORES,
    alignment_row,
    clean,
    english_row,
    in_order,
    round_row,
    scores_row,
)
from eat_worker.storage.tables import attempts, documents, entities, now, prompts, rounds, runs, scores
from eat_worker.storage.values import Claim, Lease, StageResult

ERROR_LENGTH = 2000  # characters of a message that are kept

FENCE = (
    select(runs.c.state, documents.c.faults, documents.c.retries, documents.c.breaks)
    .join(runs, runs.c.id == documents.c.run_id)
    .where(
        documents.c.id == bindparam("document_id"),
        documents.c.stage == bindparam("stage"),
        documents.c.attempt == bindparam("attempt"),
        documents.c.lease_owner == bindparam("worker"),
        RUNNING,
    )
    .with_for_update(of=documents)
)
_document = update(documents).where(documents.c.id == bindparam("document_id"))
_results = {
    "english": func.coalesce(bindparam("new_english", type_=Text), documents.c.english),
    "back_translation": func.coalesce(bindparam("new_back_translation", type_=Text), documents.c.back_translation),
    "stage": bindparam("next_stage"),
    **dict.fromkeys(("expiries", "retries", "breaks"), 0),
}
KEEP = _document.values(
    **_results,
    attempt=documents.c.attempt + 1,
    error_code=null(),
    error=null(),
    lease_until=now() + LEASE,
)
PASS_ON = _document.values(**_results, status="queued", error_code=null(), error=null(), **FREED)
USAGE_COLUMNS = {
    name: bindparam(f"sum_{name}", type_=documents.c[name].type)
    for name in ("round_count", "round_seconds", "prompt_tokens", "cached_tokens", "generated_tokens")
}
END = _document.values(
    **_results,
    **USAGE_COLUMNS,
    status=bindparam("end_status"),
    error_code=bindparam("end_code", type_=Text),
    error=null(),
    finished_at=now(),
    **FREED,
)
USAGE = select(
    func.count(),
    # Chats answered at the same time share the engine, so each has its part of those seconds.
    func.coalesce(func.sum(rounds.c.seconds / rounds.c.batch_size), 0),
    *(func.coalesce(func.sum(rounds.c[name]), 0) for name in ("prompt_tokens", "cached_tokens", "generated_tokens")),
).where(rounds.c.document_id == bindparam("document_id"))

END_ATTEMPT = (
    update(attempts)
    .where(attempts.c.document_id == bindparam("of_document"), attempts.c.attempt == bindparam("of_attempt"))
    .values(ended_at=now(), outcome=bindparam("ended"), error=bindparam("why", type_=Text))
)
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


class Fence(NamedTuple):
    """What the database says when it lets a write through: the run's state, and what the document has met so far."""

    state: str
    faults: int
    retries: int
    breaks: int


class Commit(Queue):
    """The part of a store that a worker writes to, under its claim."""

    def add_round(self, claim: Claim | Lease, output: RoundOutput) -> str:
        """Records what the model said in one round, at once, so that no crash asks it again; the run's state.

        Raises LeaseLost.
        """
        return self.add_rounds(claim, (output,))

    def add_rounds(self, claim: Claim | Lease, outputs: Sequence[RoundOutput]) -> str:
        """As `add_round`, for several rounds in one transaction. A round recorded before is replaced."""
        with self.database.write() as transaction:
            fence = self._fence(transaction, claim)
            self._put_rounds(transaction, claim, outputs)
        return fence.state

    def commit_stage(
        self,
        claim: Claim,
        result: StageResult,
        next_stage: Stage,
        *,
        keep: bool,
        lease_seconds: float,
        rounds: Sequence[RoundOutput] = (),
    ) -> Claim | None:
        """Records a stage's result and moves the document on, in one transaction. Raises LeaseLost: nothing written.

        With `keep` the same worker goes on at once: the claim of the next stage, whose `rounds` are those of `claim`
        and those given here. None when the document ended, is queued again, or its run is no longer open.
        """
        with self.database.write() as transaction:
            state = self._fence(transaction, claim).state
            self._put_rounds(transaction, claim, rounds)
            self._put_result(transaction, claim, result)
            self._end_attempt(transaction, claim, "committed")
            values = {
                "document_id": claim.document_id,
                "new_english": result.english and clean(result.english),
                "new_back_translation": result.back_translation and clean(result.back_translation),
            }
            if result.skipped or next_stage is Stage.DONE:
                status = "skipped" if result.skipped else "done"
                usage = self._usage(transaction, claim)
                values |= {"next_stage": str(Stage.DONE), "end_status": status, "end_code": result.skipped}
                transaction.run(END, **values, **usage)
                self._complete_run(transaction, claim.run_id)
                return None
            if not keep or state != "open":
                transaction.run(PASS_ON, **values, next_stage=str(next_stage))
                return None
            transaction.run(KEEP, **values, next_stage=str(next_stage), lease_seconds=lease_seconds)
            transaction.run(
                ADD_ATTEMPT,
                document_id=claim.document_id,
                attempt=claim.attempt + 1,
                stage=str(next_stage),
                worker=claim.worker,
            )
        return _next_claim(claim, result, next_stage, rounds)

    def _fence(self, transaction: Transaction, claim: Claim | Lease) -> Fence:
        row = transaction.row(FENCE, **token(claim))
        if row is None:
            raise LeaseLost(
                f"document {claim.document_id} is no longer held by {claim.worker} (attempt {claim.attempt}, "
                f"{claim.stage}); nothing was written"
            )
        return Fence(*row)

    def _put_rounds(self, transaction: Transaction, claim: Claim | Lease, outputs: Sequence[RoundOutput]) -> None:
        key = {"document_id": claim.document_id, "attempt": claim.attempt}
        transaction.many(
            PUT_ROUND,
            [
                {**key, "prompt_id": self._prompt_key(transaction, output.prompt_id), **round_row(output)}
                for output in outputs
            ],
        )

    def _put_result(self, transaction: Transaction, claim: Claim, result: StageResult) -> None:
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

    def _usage(self, transaction: Transaction, claim: Claim) -> dict[str, Any]:
        sums = transaction.rows(USAGE, document_id=claim.document_id)[0]
        return {f"sum_{name}": value for name, value in zip(USAGE_COLUMNS, sums, strict=True)}

    def _end_attempt(self, transaction: Transaction, claim: Claim | Lease, ended: str, why: str | None = None) -> None:
        values = {"ended": ended, "why": None if why is None else clean(self.database.redact(why))[:ERROR_LENGTH]}
        transaction.run(END_ATTEMPT, of_document=claim.document_id, of_attempt=claim.attempt, **values)


def token(claim: Claim | Lease) -> dict[str, Any]:
    """The values of the fence."""
    return {
        "document_id": claim.document_id,
        "stage": str(claim.stage),
        "attempt": claim.attempt,
        "worker": claim.worker,
    }


def _next_claim(claim: Claim, result: StageResult, stage: Stage, rounds: Sequence[RoundOutput]) -> Claim:
    """The claim as reading everything back would give it; the rounds that came through add_round are the caller's."""
    entities: tuple[EnglishEntity, ...] = claim.english_entities
    alignments: tuple[Alignment, ...] = claim.alignments
    if result.english_entities is not None:
        entities, alignments = tuple(result.english_entities), ()
    if result.alignments is not None:
        alignments = tuple(result.alignments)
        # The direct method names its entities here and nowhere else.
        by_index = {entity.index: entity for entity in (*entities, *(line.english for line in alignments))}
        entities = tuple(by_index[index] for index in sorted(by_index))
    new = {(output.stage, output.entity, output.round): output for output in (*claim.rounds, *rounds)}
    return replace(
        claim,
        stage=stage,
        attempt=claim.attempt + 1,
        english=claim.english if result.english is None else clean(result.english),
        english_entities=entities,
        alignments=alignments,
        back_translation=claim.back_translation if result.back_translation is None else clean(result.back_translation),
        rounds=in_order(new.values()),
        retries=0,
    )
