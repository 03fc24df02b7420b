"""Deliberate faults of the state machine: each must be seen by the simulation, or the simulation sees nothing.

A mutant changes SQL as it is compiled, or a function or constant of the product while a block lasts. Where the product
has moved on so that a mutant finds nothing to change, that is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from database import Ground

from eat_worker.errors import BrokerUnavailable, EatError, LeaseLost, StoreUnavailable
from eat_worker.jobs.broker import dispatcher
from eat_worker.jobs.document import advance, round_log
from eat_worker.jobs.document import leases as held
from eat_worker.storage import claims, leases, operating, queue
from eat_worker.storage.engine import Statement, Transaction
from eat_worker.storage.values import Claim, Hint

NOW = "((julianday('now') - 2440587.5) * 86400.0)"
IN_FENCE = " AND documents.attempt = :attempt"


@dataclass(frozen=True, slots=True)
class Sql:
    """In this statement, `old` becomes `new`."""

    statement: Statement
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Code:
    """In this module or class, `name` becomes `new`."""

    place: Any
    name: str
    new: Any


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is wrong, in words, and the changes that make it so."""

    name: str
    changes: tuple[Sql | Code, ...]


@contextmanager
def mutated(ground: Ground, mutant: Mutant) -> Iterator[None]:
    """The product is this mutant while the block lasts. Raises LookupError where there is nothing to change."""
    texts: dict[Statement, str] = {}
    with ExitStack() as stack:
        for change in mutant.changes:
            if isinstance(change, Sql):
                text = texts.get(change.statement) or ground.sql(change.statement)
                if change.old not in text:
                    raise LookupError(f"{mutant.name}: there is no {change.old!r} in {text}")
                texts[change.statement] = text.replace(change.old, change.new)
            else:
                if getattr(change.place, change.name) == change.new:
                    raise LookupError(f"{mutant.name}: {change.name} is {change.new} already")
                stack.enter_context(patch.object(change.place, change.name, change.new))
        ground.rewrite(texts)
        stack.callback(ground.rewrite, {})
        yield


def _sql(name: str, statement: Statement, old: str, new: str = "") -> Mutant:
    return Mutant(name, (Sql(statement, old, new),))


def _code(name: str, place: Any, attribute: str, new: Any) -> Mutant:
    return Mutant(name, (Code(place, attribute, new),))


def _nothing(*_args: Any, **_keywords: Any) -> None:
    return None


def _add_rounds_without_storing(self: queue.Queue, claim: Claim, outputs: Any) -> str:
    with self._database.write() as transaction:
        return leases.fence(transaction, claim).state


def _commit_without_waiting_rounds(real: Callable[..., Any]) -> Callable[..., Any]:
    def commit_stage(self: queue.Queue, claim: Claim, result: Any, next_stage: Any, **options: Any) -> Any:
        return real(self, claim, result, next_stage, **{**options, "rounds": ()})

    return commit_stage


def _commit_in_two(self: queue.Queue, claim: Claim, result: Any, next_stage: Any, **options: Any) -> Claim | None:
    """The result in one transaction, the move to the next stage in another."""
    with self._database.write() as transaction:
        leases.fence(transaction, claim)
        self._results.put_result(transaction, claim, result)
        leases.end_attempt(transaction, claim, "committed")
    following: Claim | None = _COMMIT(self, claim, result, next_stage, **options)
    return following


def _fence_that_says_open(real: Callable[..., Any]) -> Callable[..., Any]:
    def fence(transaction: Transaction, claim: Claim) -> Any:
        return real(transaction, claim)._replace(state="open")

    return fence


def _free_places_everywhere(*_args: Any) -> dict[str, int]:
    return {"chat.a": 1000, "extract.b": 1000}


def _all_fit(_self: Any, hints: Any, _waiting: Any) -> list[Hint]:
    return list(hints)


def _take_hints_without_limit(real: Callable[..., Any]) -> Callable[..., Any]:
    def take_hints(self: queue.Queue, _limit: int, *, window: int, stale_after: float) -> list[Hint]:
        return list(real(self, 1000, window=1000, stale_after=stale_after))

    return take_hints


def _dispatcher_that_gives_up(self: dispatcher.Dispatcher) -> float:
    try:
        self.cycle()
    except (BrokerUnavailable, StoreUnavailable):
        self._end()
    return self._every


def _heartbeat_that_gives_up(self: held.Heartbeat) -> float:
    try:
        self._held.beat()
    except StoreUnavailable:
        self._end()
    return self._every


def _impatient(call: Callable[[], Any], *_args: Any, **_keywords: Any) -> Any:
    return call()


def _may_continue_always(_self: held.HeldLeases, _claim: Claim) -> None:
    return None


def _commit_what_a_broken_engine_said(self: advance.Advancer, claim: Claim, error: EatError) -> None:
    self._give_up(error)
    self._release(claim, round_log.RoundLog(lambda _: "open", lambda: 0.0), reason=str(error))


def _fail_burns(real: Callable[..., Any]) -> Callable[..., Any]:
    def fail(self: queue.Queue, claim: Claim, code: str, message: str, **options: Any) -> Any:
        return real(self, claim, code, message, **{**options, "retryable": False})

    return fail


def _release_by_worker(self: queue.Queue, claim: Claim, *, reason: str) -> None:
    """Without the fence: whoever holds it now loses it."""
    with self._database.write() as transaction:
        transaction.run(queue.RELEASE, document_id=claim.document_id)
        leases.end_attempt(transaction, claim, "released", reason)


@contextmanager
def _held_by_document(self: held.HeldLeases, claim: Claim) -> Iterator[None]:
    """Whoever puts a document down takes it out of everybody's hands."""
    self._claims[claim.lease] = claim
    try:
        yield
    finally:
        for lease in [lease for lease in self._claims if lease.document_id == claim.document_id]:
            del self._claims[lease]


def _lost_by_document(self: held.HeldLeases, claim: Claim) -> None:
    if any(lease.document_id == claim.document_id for lease in self._lost):
        raise LeaseLost("some lease of this document is lost")
    _MAY_CONTINUE(self, claim)


_MAY_CONTINUE = held.HeldLeases.may_continue
_COMMIT = queue.Queue.commit_stage
_DUE = f" AND (documents.not_before IS NULL OR documents.not_before <= {NOW})"
_STALE = f"(documents.hinted_at IS NULL OR documents.hinted_at < {NOW} - :stale_after)"
_QUEUED = "documents.status = 'queued'"
_STAGE = " AND documents.stage = :at_stage"

MUTANTS: tuple[Mutant, ...] = (
    # -- the fence
    _sql("the fence does not compare the attempt", leases.FENCE, IN_FENCE),
    Mutant(
        "no fence: whoever knows a document's number writes to it",
        (
            Sql(leases.FENCE, IN_FENCE, ""),
            Sql(leases.FENCE, " AND documents.lease_owner = :worker", ""),
            Sql(leases.FENCE, " AND documents.status = 'running'", ""),
            Sql(leases.FENCE, " AND documents.stage = :stage", ""),
        ),
    ),
    _code("a document is released without the fence", queue.Queue, "release", _release_by_worker),
    # -- the claim
    _sql("a live lease is taken", claims.CLAIM, _QUEUED, "documents.status IN ('queued', 'running')"),
    _sql("a document that has ended is claimed", claims.CLAIM, _QUEUED, "documents.status <> 'running'"),
    _sql(
        "a claim takes over a lease that ran out",
        claims.CLAIM,
        _QUEUED,
        f"(documents.status = 'queued' OR documents.status = 'running' AND documents.lease_until < {NOW})",
    ),
    _sql("a claim does not compare the stage", claims.CLAIM, _STAGE),
    _sql("a claim does not look whether the document is due", claims.CLAIM, _DUE),
    _sql("a claim does not look whether the run is open", claims.CLAIM, " AND runs.state = :state_1"),
    _sql("a claim does not count the attempt", claims.CLAIM, "attempt=(documents.attempt + :attempt_1)", "attempt=1"),
    _sql(
        "a suspect is not worked on alone",
        claims.CLAIM,
        "< :expiries_1 AND documents.breaks = :breaks_1 OR NOT",
        "< 1000 OR NOT",
    ),
    _sql(
        "a claim leaves the lease without an end",
        claims.CLAIM,
        f"lease_until=({NOW} + :lease_seconds)",
        "lease_until=NULL",
    ),
    _sql("a lease lasts no time", claims.CLAIM, f"lease_until=({NOW} + :lease_seconds)", f"lease_until={NOW}"),
    # -- leases
    _sql("leases that run out are not taken back", leases.EXPIRED, "documents.status = 'running' AND", "1 = 0 AND"),
    _sql("leases are taken back before they run out", leases.EXPIRED, f"< {NOW}", f"< {NOW} + 15"),
    _sql(
        "a lease that ran out leaves its document as it is",
        leases.REQUEUE_EXPIRED,
        "status=:status, ",
        "status=status, ",
    ),
    _sql(
        "the owner stays with a document that was taken back",
        leases.REQUEUE_EXPIRED,
        "lease_owner=NULL",
        "lease_owner=lease_owner",
    ),
    _sql("the end of a lease is not counted", leases.REQUEUE_EXPIRED, "(documents.expiries + :expiries_1)", "0"),
    _sql("the attempt of a lease that ran out has no end", leases.END_OPEN_ATTEMPT, "WHERE ", "WHERE 1 = 0 AND "),
    _sql(
        "a heartbeat revives a lost lease",
        leases.HEARTBEAT,
        f"SET lease_until=({NOW} + :lease_seconds) WHERE documents.id = :document_id"
        " AND documents.attempt = :of_attempt"
        " AND documents.lease_owner = :worker AND documents.status = 'running'",
        f"SET lease_until=({NOW} + :lease_seconds), lease_owner=:worker, status='running'"
        " WHERE documents.id = :document_id",
    ),
    _sql("a heartbeat does not compare the attempt", leases.HEARTBEAT, " AND documents.attempt = :of_attempt"),
    _sql(
        "a heartbeat extends nothing",
        leases.HEARTBEAT,
        f"lease_until=({NOW} + :lease_seconds)",
        "lease_until=lease_until",
    ),
    _code("a heartbeat ends with the first error", held.Heartbeat, "_step", _heartbeat_that_gives_up),
    _code("after an outage everything is taken back at once", leases, "GRACE_SECONDS", 0.0),
    _sql("expiries are not forgotten with a commit", claims.KEEP, "expiries=:expiries", "expiries=expiries + 2"),
    _sql(
        "the next stage begins without a lease of its own",
        claims.KEEP,
        f"lease_until=({NOW} + :lease_seconds)",
        f"lease_until={NOW} - 1",
    ),
    _code("a poisonous document is tried for ever", leases, "MAX_EXPIRIES", 1000),
    # -- rounds and results
    _code("rounds are not stored as they come", queue.Queue, "add_rounds", _add_rounds_without_storing),
    _code(
        "a commit forgets the rounds that wait", queue.Queue, "commit_stage", _commit_without_waiting_rounds(_COMMIT)
    ),
    _code("a result and its stage are two transactions", queue.Queue, "commit_stage", _commit_in_two),
    _sql(
        "the next stage keeps the attempt of the last",
        claims.KEEP,
        "(documents.attempt + :attempt_1)",
        "documents.attempt",
    ),
    _sql(
        "the owner stays with a document that was handed on",
        queue.PASS_ON,
        "lease_owner=NULL",
        "lease_owner=lease_owner",
    ),
    _sql("a document that ends keeps its status", queue.END, "status=:end_status", "status=status"),
    _code(
        "a commit does not look whether the run is open",
        leases,
        "fence",
        _fence_that_says_open(leases.fence),
    ),
    # -- failures
    _sql("faults are not counted", queue.RETRY, "faults=:now_faults", "faults=faults"),
    _sql("a document that failed does not wait", queue.RETRY, f"not_before=({NOW} + :wait_seconds)", "not_before=NULL"),
    _sql("a broken engine is not counted", queue.BREAK, "breaks=:now_breaks", "breaks=breaks"),
    _sql(
        "the owner stays with a document that was released",
        queue.RELEASE,
        "lease_owner=NULL",
        "lease_owner=lease_owner",
    ),
    _code("nothing is given back", queue.Queue, "release", _nothing),
    _code("faults of the surroundings count against a document", queue.Queue, "fail", _fail_burns(queue.Queue.fail)),
    _code("what a broken engine said is no break", advance.Advancer, "_break_off", _commit_what_a_broken_engine_said),
    _sql(
        "a document that is opened again keeps its faults",
        operating.REOPEN,
        "faults=:faults, expiries=:expiries, retries=:retries, breaks=:breaks",
        "breaks=breaks",
    ),
    # -- hints
    _sql("hints are not marked as sent", claims.MARK_HINTED, "WHERE ", "WHERE 1 = 0 AND "),
    _sql("a lost hint is never sent again", claims.READY, _STALE, "documents.hinted_at IS NULL"),
    Mutant(
        "the window has no bound",
        (
            Code(claims.Claims, "_free_places", _free_places_everywhere),
            Code(queue.Queue, "take_hints", _take_hints_without_limit(queue.Queue.take_hints)),
            Code(dispatcher.Dispatcher, "_fitting", _all_fit),
        ),
    ),
    _code("a dispatcher ends with the first error", dispatcher.Dispatcher, "_step", _dispatcher_that_gives_up),
    # -- runs
    _sql(
        "a run is complete while documents are worked on", leases.COMPLETE_RUN, "documents.status = 'running'", "1 = 0"
    ),
    _sql("a run is never complete", leases.COMPLETE_RUN, "WHERE ", "WHERE 1 = 0 AND "),
    _sql("cancelling leaves what is worked on", operating.CANCELLABLE, " OR documents.status = 'running'"),
    # -- workers
    Mutant(
        "claims are held by document and not by lease",
        (Code(held.HeldLeases, "holding", _held_by_document), Code(held.HeldLeases, "may_continue", _lost_by_document)),
    ),
    _code("a worker that is told to stop goes on", held.HeldLeases, "may_continue", _may_continue_always),
    _code("whoever waits for the database gives up at once", advance, "retry", _impatient),
)
