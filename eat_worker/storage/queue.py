"""Who works on which document next: hints and claims. The rows are the queue; a broker only carries hints.

Runs of higher priority come first; within them stages near the end, then the oldest documents. What is written under
a claim is in `commit.py`, how a claim is kept alive in `leases.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import groupby

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

from eat_worker.method.document import Stage
from eat_worker.storage.engine import Transaction
from eat_worker.storage.leases import ALONE_AFTER, LEASE, QUEUED, Leases
from eat_worker.storage.rows import (
    ALIGNMENT,
    DOCUMENT,
    ENGLISH_ENTITY,
    ROUND,
    document_of,
    in_order,
    ledger_of,
    round_of,
)
from eat_worker.storage.tables import attempts, documents, entities, now, prompts, rounds, runs
from eat_worker.storage.values import Claim, Hint, Run, queue_of

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
START_RUN = update(runs).where(runs.c.id == bindparam("run_id"), runs.c.started_at.is_(None)).values(started_at=now())
ADD_ATTEMPT = insert(attempts).values(
    document_id=bindparam("document_id"),
    attempt=bindparam("attempt"),
    stage=bindparam("stage"),
    worker=bindparam("worker"),
    started_at=now(),
)
ROUNDS_OF = (
    select(*(rounds.c[name] for name in ROUND), prompts.c.sha256)
    .join(prompts, prompts.c.id == rounds.c.prompt_id)
    .where(rounds.c.document_id == bindparam("document_id"))
)
ENTITIES_OF = (
    select(*(entities.c[name] for name in (*ENGLISH_ENTITY, *ALIGNMENT)))
    .where(entities.c.document_id == bindparam("document_id"))
    .order_by(entities.c.idx)
)


class Queue(Leases):
    """The part of a store that hands out work."""

    def take_hints(self, limit: int, *, window: int, stale_after: float) -> list[Hint]:
        """Documents to announce now, at most `limit`; first, leases that ran out are taken back.

        No queue has more than `window` hints out that nobody took within `stale_after` seconds; a hint older than
        that counts as lost and is given again. Several dispatchers may run.
        """
        hints: list[Hint] = []
        with self.database.write() as transaction:
            if not self.database.is_sqlite:
                transaction.rows(TAKE_TURN, number=DISPATCHERS)
            self._take_back(transaction)
            free = self._free_places(transaction, window, stale_after)
            for run_id, stage, queue in self._work(transaction):
                places = min(limit - len(hints), free.get(queue, window))
                if places > 0:
                    found = transaction.rows(
                        READY, run_id=run_id, stage=str(stage), stale_after=stale_after, limit=places
                    )
                    hints.extend(Hint(document_id, stage, attempt, queue) for document_id, attempt in found)
                    free[queue] = free.get(queue, window) - len(found)
            transaction.many(MARK_HINTED, [{"document_id": hint.document_id} for hint in hints])
        return hints

    def claim(self, document_id: int, stage: Stage, worker: str, lease_seconds: float) -> Claim | None:
        """Leases the document for that stage, with all that the stage needs.

        None when it is not to be had: taken, ended, at another stage, not due yet, or its run is not open. Also when
        ALONE_AFTER workers died with it, or an engine broke, and this one has others in hand: they must not pay too.
        """
        with self.database.write() as transaction:
            return self._claim(transaction, document_id, stage, worker, lease_seconds)

    def claim_next(self, queues: Collection[str], worker: str, lease_seconds: float) -> Claim | None:
        """Leases the next document whose stage is served by one of `queues`, without a broker; None when idle."""
        with self.database.write() as transaction:
            self._take_back(transaction)
            claimable = CLAIMABLE[not transaction.rows(HAS_IN_HAND, worker=worker)]
            for run_id, stage, queue in self._work(transaction):
                if queue in queues:
                    found = transaction.row(claimable, run_id=run_id, stage=str(stage), limit=1)
                    if found:
                        return self._claim(transaction, found[0], stage, worker, lease_seconds)
        return None

    def runs_before(self, run_id: int) -> list[Run]:
        """Open runs whose documents the workers of this run take before its own, in that order."""
        run = self.get_run(run_id)
        queues, place = set(run.spec.queues.values()), (-run.priority, run.id)
        others = [other for other in self.list_runs() if other.state == "open" and (-other.priority, other.id) < place]
        mine = [other for other in others if queues & set(other.spec.queues.values())]
        return sorted(mine, key=lambda other: (-other.priority, other.id))

    def _claim(
        self, transaction: Transaction, document_id: int, stage: Stage, worker: str, lease_seconds: float
    ) -> Claim | None:
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
        # Remembered only when it was on record before: this transaction may still be rolled back.
        if run_id not in self._started and not transaction.run(START_RUN, run_id=run_id):
            self._started.add(run_id)
        transaction.run(ADD_ATTEMPT, document_id=document_id, attempt=attempt, stage=str(stage), worker=worker)
        spec = self._spec(transaction, run_id)
        # A first attempt finds nothing recorded, and need not look.
        said = transaction.rows(ROUNDS_OF, document_id=document_id) if attempt > 1 else []
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
            rounds=in_order(round_of(row[:-1], row[-1]) for row in said),
            faults=faults,
            retries=retries,
        )

    def _work(self, transaction: Transaction) -> Iterator[tuple[int, Stage, str]]:
        """Every (run, stage, queue) that may have work, in the order of the queue; ends idle runs."""
        open_runs = [row for row in transaction.rows(OPEN_RUNS) if not self._complete_run(transaction, row[0])]
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
