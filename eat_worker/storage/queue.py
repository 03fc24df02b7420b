"""Who works on which document: hints, claims, leases. The rows are the queue; a broker only carries hints.

A document is `queued`, then `running` under a lease; only the holder of the newest attempt may write to it. Every
instant is the database's own. Where several rows are changed at once they are locked with SKIP LOCKED, so that
nothing here waits for two rows and nothing can deadlock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from sqlalchemy import (
    Double,
    and_,
    bindparam,
    case,
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
from eat_worker.storage.rows import (
    ALIGNMENT,
    DOCUMENT,
    ENGLISH_ENTITY,
    ROUND,
    document_of,
    dump,
    in_order,
    ledger_of,
    round_of,
)
from eat_worker.storage.submission import Submission
from eat_worker.storage.tables import attempts, documents, entities, events, now, prompts, rounds, runs
from eat_worker.storage.values import Claim, Hint, RunSpec, queue_of

# A document whose workers died this often in a row, without a commit between, is taken to be what kills them.
MAX_EXPIRIES = 5
# After so many it is worked on alone: one dead worker is an accident, two make all that it had in hand suspect, and
# only the one that kills may pay for it.
ALONE_AFTER = 2

DISPATCHERS = 0x656175  # the lock of one dispatcher at a time on PostgreSQL; SQLite has one writer anyway
TAKE_TURN = text("SELECT pg_advisory_xact_lock(:number)")

# Written out rather than bound: the partial indexes are used only by a query that states their condition.
QUEUED = documents.c.status == literal_column("'queued'")
RUNNING = documents.c.status == literal_column("'running'")
_run_is_open = exists().where(runs.c.id == documents.c.run_id, runs.c.state == "open").correlate(documents)
_due = or_(documents.c.not_before.is_(None), documents.c.not_before <= now())
# Two threads of one worker may both see nothing in hand on PostgreSQL; that is rare and costs nobody a document.
_in_hand = documents.alias("in_hand")
_by_this_worker = (
    _in_hand.c.status == literal_column("'running'"),
    _in_hand.c.lease_owner == bindparam("worker"),
    _in_hand.c.lease_until >= now(),
)
_expiries = documents.c.expiries + case((RUNNING, 1), else_=0)
_has_in_hand = exists().where(*_by_this_worker)
_stale_after = bindparam("stale_after", type_=Double)
_lease = bindparam("lease_seconds", type_=Double)
FREED = {"hinted_at": null(), "lease_owner": null(), "lease_until": null()}

EXPIRED = (
    select(documents.c.id, documents.c.run_id, documents.c.attempt, documents.c.expiries)
    .where(RUNNING, documents.c.lease_until < now())
    .with_for_update(skip_locked=True)
)
REQUEUE_EXPIRED = (
    update(documents)
    .where(documents.c.id == bindparam("document_id"))
    .values(status="queued", expiries=documents.c.expiries + 1, **FREED)
)
GIVE_UP = (
    update(documents)
    .where(documents.c.id == bindparam("document_id"))
    .values(
        status="failed",
        expiries=documents.c.expiries + 1,
        error_code="poison",
        error=f"{MAX_EXPIRIES} workers in a row died with this document",
        finished_at=now(),
        **FREED,
    )
)
# Only the lease that ran out has no end yet; an attempt that was ended keeps its outcome.
END_EXPIRED = (
    update(attempts)
    .where(
        attempts.c.document_id == bindparam("of_document"),
        attempts.c.attempt == bindparam("of_attempt"),
        attempts.c.ended_at.is_(None),
    )
    .values(ended_at=now(), outcome="expired")
)
ADD_EVENT = insert(events).values(
    run_id=bindparam("run_id"),
    document_id=bindparam("document_id"),
    at=now(),
    kind=bindparam("kind"),
    detail_json=bindparam("detail_json"),
)

OPEN_RUNS = select(runs.c.id).where(runs.c.state == "open").order_by(runs.c.id)
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
CLAIMABLE = {True: _READY, False: _READY.where(documents.c.expiries < ALONE_AFTER)}
HAS_IN_HAND = select(_in_hand.c.id).where(*_by_this_worker).limit(1)
MARK_HINTED = update(documents).where(documents.c.id == bindparam("document_id")).values(hinted_at=now())

CLAIM = (
    update(documents)
    .where(
        documents.c.id == bindparam("document_id"),
        documents.c.stage == bindparam("at_stage"),
        or_(and_(QUEUED, _due), and_(RUNNING, documents.c.lease_until < now())),
        or_(_expiries < ALONE_AFTER, ~_has_in_hand),
        _run_is_open,
    )
    .values(
        status="running",
        attempt=documents.c.attempt + 1,
        expiries=_expiries,
        lease_owner=bindparam("worker"),
        lease_until=now() + _lease,
        hinted_at=null(),
        not_before=null(),
        started_at=func.coalesce(documents.c.started_at, now()),
    )
    .returning(
        documents.c.run_id,
        documents.c.attempt,
        documents.c.english,
        documents.c.back_translation,
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
HEARTBEAT = (
    update(documents)
    .where(documents.c.id == bindparam("document_id"), documents.c.lease_owner == bindparam("worker"), RUNNING)
    .values(lease_until=now() + _lease)
)

LEASE_OWNERS = select(documents.c.lease_owner).where(RUNNING).distinct()
EXPIRE_OWNER = (
    update(documents).where(documents.c.lease_owner == bindparam("worker"), RUNNING).values(lease_until=now() - 1)
)

HAS_QUEUED = (
    select(documents.c.id)
    .where(QUEUED, documents.c.run_id == bindparam("of_run"))
    # An order that only the index of the queue has: anything else would read past the documents that ended.
    .order_by(documents.c.stage, documents.c.created_at, documents.c.id)
    .limit(1)
)
LOCK_RUN_END = select(runs.c.id).where(runs.c.id == bindparam("of_run"), runs.c.state == "open").with_for_update()
COMPLETE_RUN = (
    update(runs)
    .where(
        runs.c.id == bindparam("of_run"),
        runs.c.state == "open",
        runs.c.started_at.is_not(None),  # a run that nobody worked on has no documents yet
        ~exists().where(documents.c.run_id == runs.c.id, QUEUED).correlate(runs),
        ~exists().where(documents.c.run_id == runs.c.id, RUNNING).correlate(runs),
    )
    .values(state="complete", finished_at=now())
)


class Queue(Submission):
    """The part of a store that hands out work."""

    def take_hints(self, limit: int, *, window: int, stale_after: float) -> list[Hint]:
        """Documents to announce now, at most `limit`; first, leases that ran out are taken back.

        No queue has more than `window` hints out that nobody took within `stale_after` seconds; a hint older than
        that counts as lost and is given again. Stages near the end come first, then the oldest documents. Several
        dispatchers may run.
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
        ALONE_AFTER workers died with it and this one has others in hand: they must not die with it too.
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

    def heartbeat(self, worker: str, document_ids: Collection[int], lease_seconds: float) -> list[int]:
        """Extends the worker's leases to `lease_seconds` from now; the documents that it no longer owns."""
        with self.database.write() as transaction:
            # In one order everywhere: two heartbeats of one worker then never wait for each other.
            return [
                document_id
                for document_id in sorted(document_ids)
                if not transaction.run(HEARTBEAT, document_id=document_id, worker=worker, lease_seconds=lease_seconds)
            ]

    def lease_owners(self) -> list[str]:
        """The workers that hold leases now, run out or not."""
        with self.database.read() as transaction:
            return [owner for (owner,) in transaction.rows(LEASE_OWNERS)]

    def expire_leases(self, worker: str) -> int:
        """End the leases of a worker that is known to be dead, so that nobody waits for them; how many there were."""
        with self.database.write() as transaction:
            return transaction.run(EXPIRE_OWNER, worker=worker)

    def _claim(
        self, transaction: Transaction, document_id: int, stage: Stage, worker: str, lease_seconds: float
    ) -> Claim | None:
        row = transaction.row(
            CLAIM, document_id=document_id, at_stage=str(stage), worker=worker, lease_seconds=lease_seconds
        )
        if row is None:
            return None
        run_id, attempt, english, back_translation, *document = row
        if attempt > 1:
            transaction.run(END_EXPIRED, of_document=document_id, of_attempt=attempt - 1)
        if run_id not in self._started:
            transaction.run(START_RUN, run_id=run_id)
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
        )

    def _work(self, transaction: Transaction) -> Iterator[tuple[int, Stage, str]]:
        """Every (run, stage, queue) that may have work: last stages first, then the oldest run; ends idle runs."""
        open_runs: list[tuple[int, RunSpec]] = []
        for (run_id,) in transaction.rows(OPEN_RUNS):
            if not self._complete_run(transaction, run_id):
                open_runs.append((run_id, self._spec(transaction, run_id)))
        for stage in reversed(Stage):
            for run_id, spec in open_runs:
                if stage is not Stage.DONE and stage in spec.config.stages():
                    yield run_id, stage, queue_of(spec.queues, stage)

    def _take_back(self, transaction: Transaction) -> None:
        expired = transaction.rows(EXPIRED)
        if not expired:
            return
        poison = [row for row in expired if row[3] + 1 >= MAX_EXPIRIES]
        transaction.many(REQUEUE_EXPIRED, [{"document_id": row[0]} for row in expired if row not in poison])
        transaction.many(GIVE_UP, [{"document_id": row[0]} for row in poison])
        transaction.many(END_EXPIRED, [{"of_document": row[0], "of_attempt": row[2]} for row in expired])
        for document_id, run_id, attempt, _ in poison:
            detail = dump({"attempt": attempt})
            transaction.run(ADD_EVENT, run_id=run_id, document_id=document_id, kind="poison", detail_json=detail)

    def _free_places(self, transaction: Transaction, window: int, stale_after: float) -> dict[str, int]:
        # Per queue: a queue that no worker serves must not keep the others waiting.
        free: dict[str, int] = {}
        for (run_id, stage), count in Counter(transaction.rows(FRESH_HINTS, stale_after=stale_after)).items():
            queue = queue_of(self._spec(transaction, run_id).queues, Stage(stage))
            free[queue] = free.get(queue, window) - count
        return free

    def _complete_run(self, transaction: Transaction, run_id: int) -> bool:
        """Marks the run complete when none of its documents is left unfinished."""
        if transaction.rows(HAS_QUEUED, of_run=run_id):
            return False
        # Two workers that end the last two documents would each see the other's as running: one waits here.
        if not self.database.is_sqlite and not transaction.rows(LOCK_RUN_END, of_run=run_id):
            return True
        return transaction.run(COMPLETE_RUN, of_run=run_id) > 0
