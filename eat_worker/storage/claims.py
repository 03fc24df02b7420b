"""Who works on which document next: hints and claims. The rows are the queue; a broker only carries hints.

Runs of higher priority come first; within them stages near the end, then the oldest documents. A document comes under
a lease in two ways, and both are here: CLAIM takes one from the queue, KEEP goes on with its next stage at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from sqlalchemy import (
    Double,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    text,
    update,
)

from eat_worker.method.document import RoundOutput, Stage
from eat_worker.storage import leases
from eat_worker.storage.engine import Transaction
from eat_worker.storage.rows import DOCUMENT, clean, document_of, in_order, ledger_of, round_of
from eat_worker.storage.statements import ENTITIES_OF, LEASE, QUEUED, RESULTS, ROUNDS_OF, RUN_BY_ID, run_from
from eat_worker.storage.tables import attempts, documents, now, runs
from eat_worker.storage.values import Claim, Hint, RunSpec, StageResult, queue_of

# After so many dead workers a document is worked on alone: one is an accident, two make all that they had in hand
# suspect, and only the one that kills may pay for it.
ALONE_AFTER = 2
DISPATCHERS = 0x656175  # the lock of one dispatcher at a time on PostgreSQL; SQLite has one writer anyway
TAKE_TURN = text("SELECT pg_advisory_xact_lock(:number)")

_run_is_open = exists().where(runs.c.id == documents.c.run_id, runs.c.state == "open").correlate(documents)
_due = or_(documents.c.not_before.is_(None), documents.c.not_before <= now())
# Two threads of one worker may both see nothing in hand on PostgreSQL; that is rare and costs nobody a document.
_in_hand = documents.alias("in_hand")
_by_this_worker = (
    _in_hand.c.status == literal_column("'running'"),
    _in_hand.c.lease_owner == bindparam("worker"),
    _in_hand.c.lease_until >= now(),
)
_has_in_hand = exists().where(*_by_this_worker)
_stale_after = bindparam("stale_after", type_=Double)
_with_others = and_(documents.c.expiries < ALONE_AFTER, documents.c.breaks == 0)

OPEN_RUNS = select(runs.c.id, runs.c.priority).where(runs.c.state == "open").order_by(runs.c.priority.desc(), runs.c.id)
# Counted here and not by GROUP BY, for which SQLite would read every queued document in the order of another index.
FRESH_HINTS = select(documents.c.run_id, documents.c.stage).where(QUEUED, documents.c.hinted_at >= now() - _stale_after)
_READY = (
    select(documents.c.id, documents.c.attempt)
    .where(QUEUED, documents.c.run_id == bindparam("run_id"), documents.c.stage == bindparam("stage"), _due)
    .order_by(documents.c.created_at, documents.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
READY = _READY.where(or_(documents.c.hinted_at.is_(None), documents.c.hinted_at < now() - _stale_after))
# By whether the worker has nothing in hand.
CLAIMABLE = {True: _READY, False: _READY.where(_with_others)}
HAS_IN_HAND = select(_in_hand.c.id).where(*_by_this_worker).limit(1)
MARK_HINTED = update(documents).where(documents.c.id == bindparam("document_id")).values(hinted_at=now())

CLAIM = (
    update(documents)
    .where(
        documents.c.id == bindparam("document_id"),
        documents.c.stage == bindparam("at_stage"),
        QUEUED,
        _due,
        or_(_with_others, ~_has_in_hand),
        _run_is_open,
    )
    .values(
        status="running",
        attempt=documents.c.attempt + 1,
        lease_owner=bindparam("worker"),
        lease_until=now() + LEASE,
        hinted_at=null(),
        not_before=null(),
        started_at=func.coalesce(documents.c.started_at, now()),
    )
    .returning(
        *(documents.c[name] for name in ("run_id", "attempt", "faults", "retries", "english", "back_translation")),
        *(documents.c[name] for name in DOCUMENT),
    )
)
KEEP = (
    update(documents)
    .where(documents.c.id == bindparam("document_id"))
    .values(
        **RESULTS,
        attempt=documents.c.attempt + 1,
        error_code=null(),
        error=null(),
        lease_until=now() + LEASE,
    )
)
ADD_ATTEMPT = insert(attempts).values(
    document_id=bindparam("document_id"),
    attempt=bindparam("attempt"),
    stage=bindparam("stage"),
    worker=bindparam("worker"),
    started_at=now(),
)
START_RUN = update(runs).where(runs.c.id == bindparam("run_id"), runs.c.started_at.is_(None)).values(started_at=now())


class Claims:
    """Hands out documents inside its caller's transaction, and remembers what every run froze.

    May be shared by threads.
    """

    def __init__(self) -> None:
        self._specs: dict[int, RunSpec] = {}  # what a run froze never changes; its state is always asked anew
        self._started: set[int] = set()  # runs whose first claim is on record

    def hints(self, transaction: Transaction, limit: int, window: int, stale_after: float) -> list[Hint]:
        """At most `limit` documents to announce; they are marked so. Arguments as of `Queue.take_hints`."""
        hints: list[Hint] = []
        free = self._free_places(transaction, window, stale_after)
        for run_id, stage, queue in self._work(transaction):
            places = min(limit - len(hints), free.get(queue, window))
            if places > 0:
                found = transaction.rows(READY, run_id=run_id, stage=str(stage), stale_after=stale_after, limit=places)
                hints.extend(Hint(document_id, stage, attempt, queue) for document_id, attempt in found)
                free[queue] = free.get(queue, window) - len(found)
        transaction.many(MARK_HINTED, [{"document_id": hint.document_id} for hint in hints])
        return hints

    def next_of(self, transaction: Transaction, queues: Collection[str], worker: str) -> tuple[int, Stage] | None:
        """The document that this worker should claim next, and its stage."""
        claimable = CLAIMABLE[not transaction.rows(HAS_IN_HAND, worker=worker)]
        for run_id, stage, queue in self._work(transaction):
            if queue in queues:
                found = transaction.row(claimable, run_id=run_id, stage=str(stage), limit=1)
                if found:
                    return found[0], stage
        return None

    def claim(
        self, transaction: Transaction, document_id: int, stage: Stage, worker: str, lease_seconds: float
    ) -> Claim | None:
        """Takes the document from the queue; None when it is not to be had."""
        row = transaction.row(
            CLAIM,
            document_id=document_id,
            at_stage=str(stage),
            worker=worker,
            lease_seconds=lease_seconds,
        )
        if row is None:
            return None
        run_id, attempt, faults, retries, english, back_translation, *document = row
        self._start_run(transaction, run_id)
        transaction.run(ADD_ATTEMPT, document_id=document_id, attempt=attempt, stage=str(stage), worker=worker)
        spec = self._spec(transaction, run_id)
        # A first attempt finds nothing recorded, and need not look.
        outputs = transaction.rows(ROUNDS_OF, document_id=document_id) if attempt > 1 else []
        ledger = transaction.rows(ENTITIES_OF, document_id=document_id) if attempt > 1 else []
        english_entities, alignments = ledger_of(ledger)
        return Claim(
            document_id=document_id,
            run_id=run_id,
            stage=stage,
            attempt=attempt,
            worker=worker,
            document=document_of(document),
            config=spec.config,
            queues=spec.queues,
            english=english,
            english_entities=english_entities,
            alignments=alignments,
            back_translation=back_translation,
            rounds=in_order(round_of(output[:-1], output[-1]) for output in outputs),
            faults=faults,
            retries=retries,
        )

    def _start_run(self, transaction: Transaction, run_id: int) -> None:
        if run_id in self._started:
            return
        started_now = transaction.run(START_RUN, run_id=run_id)
        # Remembered only when it was on record before: this transaction may still be rolled back.
        if not started_now:
            self._started.add(run_id)

    def _work(self, transaction: Transaction) -> Iterator[tuple[int, Stage, str]]:
        """Every (run, stage, queue) that may have work, in the order of the queue; ends idle runs."""
        open_runs = [row for row in transaction.rows(OPEN_RUNS) if not leases.complete_run(transaction, row[0])]
        for _, rows in groupby(open_runs, key=lambda row: row[1]):
            specs = [(run_id, self._spec(transaction, run_id)) for run_id, _ in rows]
            for stage in reversed(Stage):
                for run_id, spec in specs:
                    if stage is not Stage.DONE and stage in spec.config.stages():
                        yield run_id, stage, queue_of(spec.queues, stage)

    def _free_places(self, transaction: Transaction, window: int, stale_after: float) -> dict[str, int]:
        # Per queue: a queue that no worker serves must not keep the others waiting.
        free: dict[str, int] = {}
        for (run_id, stage), count in Counter(transaction.rows(FRESH_HINTS, stale_after=stale_after)).items():
            queue = queue_of(self._spec(transaction, run_id).queues, Stage(stage))
            free[queue] = free.get(queue, window) - count
        return free

    def _spec(self, transaction: Transaction, run_id: int) -> RunSpec:
        spec = self._specs.get(run_id)
        if spec is None:
            spec = self._specs[run_id] = run_from(transaction.rows(RUN_BY_ID, run_id=run_id)[0]).spec
        return spec


def keep_claim(
    transaction: Transaction, claim: Claim, stage: Stage, lease_seconds: float, results: Mapping[str, Any]
) -> None:
    """The document stays with its worker for the next stage; `results` are the values of RESULTS."""
    transaction.run(KEEP, **results, document_id=claim.document_id, lease_seconds=lease_seconds)
    transaction.run(
        ADD_ATTEMPT,
        document_id=claim.document_id,
        attempt=claim.attempt + 1,
        stage=str(stage),
        worker=claim.worker,
    )


def following(claim: Claim, result: StageResult, stage: Stage, rounds: Sequence[RoundOutput]) -> Claim:
    """The claim as reading everything back would give it; the rounds that came through add_round are the caller's."""
    entities, alignments = claim.english_entities, claim.alignments
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
