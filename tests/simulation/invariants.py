"""What must hold in every world, judged when it is over: from the rows, and from what the triggers wrote down.

Exactly one result per document, nothing lost, the same results as without faults, bounded waste, and every single step
one that the state machine allows. Knows rows; runs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import inf
from typing import Any, NamedTuple

from database import OPERATOR
from nemesis import Nemesis
from swarm import LEASE_SECONDS, MAX_FAULTS, SLOW_SECONDS
from world import World

from eat_worker.errors import EngineUnavailable, StoreUnavailable
from eat_worker.jobs.broker.dispatcher import RETRY
from eat_worker.storage.claims import ALONE_AFTER
from eat_worker.storage.leases import GRACE_SECONDS, MAX_EXPIRIES
from eat_worker.storage.queue import MAX_BREAKS

ENDED = ("done", "skipped", "failed", "cancelled")
OF_SURROUNDINGS = (EngineUnavailable.code, StoreUnavailable.code)
# Answers that may wait for one write, where they come at once.
HELD = 6

Result = tuple[Any, ...]


def result_of(world: World, document: int) -> Result:
    """Everything that a document ended in, and that no fault may change."""
    rows = world.ground.rows
    return (
        rows("SELECT stage, status, error_code, english, back_translation FROM documents WHERE id = ?", document),
        rows(
            "SELECT stage, entity, round, prompt_id, variables_json, output, finish_reason, flags_json FROM rounds"
            " WHERE document_id = ? ORDER BY 1, 2, 3",
            document,
        ),
        rows("SELECT * FROM entities WHERE document_id = ? ORDER BY idx", document),
        rows("SELECT * FROM scores WHERE document_id = ?", document),
        rows(
            "SELECT round_count, prompt_tokens, generated_tokens FROM documents WHERE id = ?",
            document,
        ),
    )


def judge(world: World, nemesis: Nemesis, stages: int, expected: dict[int, Result], *, is_over: bool) -> None:
    """Tell the world of everything that is wrong."""
    for what in _wrong(world, nemesis, stages, expected, is_over):
        world.violate(what)
    outcomes = world.ground.rows("SELECT coalesce(outcome, 'none'), count(*) FROM attempts GROUP BY 1")
    world.met.update({f"attempt_{outcome}": number for outcome, number in outcomes})


def _wrong(world: World, nemesis: Nemesis, stages: int, expected: dict[int, Result], is_over: bool) -> Iterator[str]:
    if not is_over:
        left = world.ground.rows("SELECT id, stage, status FROM documents WHERE status IN ('queued', 'running')")
        runs = world.ground.rows("SELECT id, state FROM runs WHERE state NOT IN ('complete', 'cancelled')")
        yield f"not ended in time: documents {left}, runs {runs}"
    yield from _steps(world)
    if is_over:
        for document in range(1, world.plan.documents + 1):
            yield from _document(world, nemesis, document, stages, expected[document])
    yield from _waste(world)


def _document(world: World, nemesis: Nemesis, document: int, stages: int, expected: Result) -> Iterator[str]:
    rows = world.ground.rows
    status, code, error, attempt, run_id, finished = rows(
        "SELECT status, error_code, error, attempt, run_id, finished_at FROM documents WHERE id = ?", document
    )[0]
    name = f"document {document}, {status}"
    if finished is None:
        yield f"{name}: without an instant at which it ended"
    if status == "done":
        found = result_of(world, document)
        if found != expected:
            yield f"{name}: {found} instead of {expected}"
    elif status == "failed":
        yield from _failed(world, document, code, error)
    elif run_id not in nemesis.cancelled:
        yield f"{name}: nobody cancelled its run"
    yield from _faults(world, document, status)
    if status != "cancelled":
        yield from _counters(world, document)
    yield from _attempts(world, name, document, attempt, stages if status == "done" else None)


def _attempts(world: World, name: str, document: int, attempt: int, stages: int | None) -> Iterator[str]:
    attempts = world.ground.rows(
        "SELECT attempt, stage, ended_at, outcome, error FROM attempts WHERE document_id = ? ORDER BY attempt", document
    )
    if [row[0] for row in attempts] != list(range(1, attempt + 1)):
        yield f"{name}: attempts {[row[0] for row in attempts]}, and the last is {attempt}"
    if any(row[2] is None or row[3] is None for row in attempts):
        yield f"{name}: an attempt without an end: {attempts}"
    if any(row[3] in ("fault", "failed") and row[4].startswith(OF_SURROUNDINGS) for row in attempts):
        yield f"{name}: it pays for its surroundings: {attempts}"
    commits = Counter(row[1] for row in attempts if row[3] == "committed")
    if any(count > 1 for count in commits.values()):
        yield f"{name}: a stage was committed twice: {attempts}"
    if stages is not None and len(commits) != stages:
        yield f"{name}: committed only {sorted(commits)}"


def _failed(world: World, document: int, code: str | None, error: str | None) -> Iterator[str]:
    """A document may fail for what is wrong with it, and for nothing that befell others."""
    trouble = world.plan.troubles.get(document)
    kind = trouble.kind if trouble else "good"
    name = f"document {document}, which is {kind}, failed as {code}"
    if not code or not error:
        yield f"{name}: without a reason"
    if code == "poison":
        if kind not in ("crash", "break"):
            yield from _innocent(world, document, name)
    elif code in ("engine", "unexpected"):
        if kind not in ("faults", "unexpected"):
            yield name
    elif code != kind:
        yield name


def _innocent(world: World, document: int, name: str) -> Iterator[str]:
    """One may be taken for poison by bad luck, but of the workers that die by others it pays for ALONE_AFTER only."""
    outcomes = _outcomes(world, document)
    committed = len(outcomes) - outcomes[::-1].index("committed") if "committed" in outcomes else 0
    counts = Counter(outcomes[committed:])
    if counts["expired"] >= MAX_EXPIRIES:
        strokes = world.deaths_by_chance + len(world.excuses)
        if strokes < MAX_EXPIRIES - ALONE_AFTER:
            yield f"{name}: only {strokes} workers died of something else than a document"
    elif counts["engine_broken"] >= MAX_BREAKS:
        # Whoever breaks an engine is known only afterwards: two such documents may meet the same innocent one. So may
        # one that is opened again, or whose break could not be recorded, of which nothing is known any more.
        kinds = [other for other, trouble in world.plan.troubles.items() if trouble.kind == "break"]
        breaking = sum(1 + _reopened(world, other) + _outcomes(world, other).count("expired") for other in kinds)
        if breaking + world.seen["engine_breaks"] + world.seen["hang"] < MAX_BREAKS:
            yield f"{name}: only {breaking} times a document broke engines, and none broke by chance"
    else:
        yield f"{name}: after {outcomes}"


def _reopened(world: World, document: int) -> int:
    sql = "SELECT count(*) FROM history WHERE document_id = ? AND was = 'failed'"
    return int(world.ground.rows(sql, document)[0][0])


def _faults(world: World, document: int, status: str) -> Iterator[str]:
    """A document fails with its MAX_FAULTS-th fault, counted anew when it is opened again."""
    trouble = world.plan.troubles.get(document)
    if trouble is None or trouble.kind not in ("faults", "unexpected"):
        return
    outcomes = _outcomes(world, document)
    count = 0
    for outcome in outcomes:
        count += outcome == "fault"
        if outcome == "failed":
            if count != MAX_FAULTS - 1:
                yield f"document {document}: failed after {count} faults and one more: {outcomes}"
            count = 0
    if count >= MAX_FAULTS:
        yield f"document {document}: {status} after {count} faults: {outcomes}"


def _counters(world: World, document: int) -> Iterator[str]:
    """What a document has met is counted as its attempts tell it: since it was opened again, or since a commit."""
    rows = world.ground.rows
    opened = rows("SELECT max(attempt) FROM history WHERE document_id = ? AND was = 'failed'", document)[0][0] or 0
    met: Counter[str] = Counter()
    for outcome in _outcomes(world, document)[opened:]:
        if outcome == "committed":
            met = Counter(fault=met["fault"])
        else:
            met["fault" if outcome == "failed" else outcome] += 1
    expected = tuple(met[outcome] for outcome in ("fault", "retry", "engine_broken", "expired"))
    if met["expired"] > MAX_EXPIRIES:
        yield f"document {document}: {met['expired']} workers died with it"
    found = rows("SELECT faults, retries, breaks, expiries FROM documents WHERE id = ?", document)[0]
    if found != expected:
        yield f"document {document}: faults, retries, breaks and expiries are {found} instead of {expected}"


def _outcomes(world: World, document: int) -> list[str]:
    rows = world.ground.rows("SELECT outcome FROM attempts WHERE document_id = ? ORDER BY attempt", document)
    return [row[0] for row in rows]


class Step(NamedTuple):
    """One change of a document's state, as the trigger wrote it down."""

    document: int
    at: float
    was: str
    status: str
    attempt_was: int
    attempt: int
    owner_was: str | None
    owner: str | None
    lease_was: float | None
    lease: float | None
    due_was: float | None
    expiries_was: int
    expiries: int
    run_state: str
    process: str

    @property
    def left(self) -> float:
        """Seconds that the lease it had would have lasted; infinite where it had no end."""
        return inf if self.lease_was is None else self.lease_was - self.at


def _steps(world: World) -> Iterator[str]:
    """Every change of a document's state, one by one."""
    holders: dict[tuple[int, int], str] = {}
    for row in world.ground.rows("SELECT * FROM history ORDER BY rowid"):
        step = Step(*row[:-1])
        wrong = [*_begins(step), *_ends(step)]
        if step.was == "running":
            wrong += _leaves(world, step, holders.get((step.document, step.attempt_was)))
        for what in wrong:
            yield f"document {step.document} at {step.at - world.start:.2f}: {step.was} -> {step.status}: {what}"
        if step.status == "running":
            holders[step.document, step.attempt] = step.process
    yield from _writes(world, holders)
    yield from _waits(world)
    yield from _attempts_end(world)


def _begins(step: Step) -> Iterator[str]:
    if step.status != "running":
        return
    if step.attempt != step.attempt_was + 1:
        yield f"attempt {step.attempt_was} -> {step.attempt}"
    if step.due_was is not None and step.due_was > step.at:
        yield f"claimed {step.due_was - step.at:.1f} s before it was due"
    if step.run_state != "open":
        yield f"its run is {step.run_state}"
    if step.lease is None or step.owner is None:
        yield "a lease without an end or an owner"


def _ends(step: Step) -> Iterator[str]:
    if step.status != "running" and (step.owner is not None or step.lease is not None):
        yield "nobody works on it, and it has an owner"
    if step.was in ENDED and (step.was, step.status) != ("failed", "queued"):
        yield "it had ended"
    if step.status == "queued" and step.attempt != step.attempt_was:
        yield f"attempt {step.attempt_was} -> {step.attempt}"


def _leaves(world: World, step: Step, holder: str | None) -> Iterator[str]:
    """An attempt is over: its holder says so, its lease ran out, or an operator cancelled the run."""
    if step.left >= 0:
        if step.expiries > step.expiries_was or (step.status == "running" and step.owner != step.owner_was):
            yield f"taken from {step.owner_was}, whose lease has {step.left:.1f} s left"
        if (step.process, step.status) != (OPERATOR, "cancelled"):
            yield from _foreign(world, step.process, holder, step.at)
    if step.expiries > step.expiries_was:
        yield from _too_soon(world, step)
        if not _is_excused(world, step, holder):
            yield f"its lease ran out, and nothing had befallen {holder}"


def _too_soon(world: World, step: Step) -> Iterator[str]:
    """After an outage, whoever lives must be able to extend its leases first."""
    seen = max((at for who, at in world.outages if who == step.process and at <= step.at), default=-inf)
    if step.at - seen < GRACE_SECONDS - 0.01:  # the database's clock is rounded
        yield f"{step.process} took it back {step.at - seen:.1f} s after it saw that the database was away"
    back = max((at for at in world.database_back_at if at <= step.at), default=-inf)
    if back - RETRY.longest <= seen <= back and step.at - back < 1.0 + SLOW_SECONDS:
        yield f"{step.process} took it back {step.at - back:.1f} s after the database came back"


def _is_excused(world: World, step: Step, holder: str | None) -> bool:
    """A lease may run out when its holder died, or was kept from extending it after it last did."""
    if holder is None or world.ends.get(holder, inf) <= step.at:
        return holder is not None
    extended = step.at + step.left - LEASE_SECONDS - 0.01
    return any(who == holder and begin <= step.at and end >= extended for who, begin, end in world.excuses)


def _foreign(world: World, process: str, holder: str | None, at: float) -> Iterator[str]:
    """Only the holder may write, or whoever finds what a holder that is dead has left in the spool."""
    if process != holder and (holder is None or world.ends.get(holder, inf) > at):
        yield f"by {process}, and {holder} holds it"


def _waits(world: World) -> Iterator[str]:
    """A document that failed waits a while."""
    for document, at in world.ground.rows(
        "SELECT history.document_id, history.at FROM history JOIN attempts ON attempts.document_id ="
        " history.document_id AND attempts.attempt = history.attempt WHERE history.was = 'running' AND"
        " history.status = 'queued' AND attempts.outcome IN ('retry', 'fault') AND history.due IS NULL"
    ):
        yield f"document {document} at {at - world.start:.2f}: it failed, and need not wait"


def _attempts_end(world: World) -> Iterator[str]:
    """Whenever a document leaves the hands of an attempt, that attempt ends at the same instant, and no other."""
    for document, at, attempt, ended, outcome in world.ground.rows(
        "SELECT history.document_id, history.at, attempt_was, ended_at, outcome FROM history LEFT JOIN attempts ON"
        " attempts.document_id = history.document_id AND attempts.attempt = attempt_was WHERE was = 'running' AND"
        " (status <> 'running' OR history.attempt <> attempt_was) AND ended_at IS NOT history.at"
    ):
        step = f"document {document} at {at - world.start:.2f}"
        yield f"{step}: taken from attempt {attempt}, which ended at {ended} as {outcome}"


def _writes(world: World, holders: dict[tuple[int, int], str]) -> Iterator[str]:
    """Nothing is written but by the holder of the newest attempt, and little to a run that is not open."""
    late: dict[tuple[int, int], set[str]] = {}
    for row in world.ground.rows("SELECT * FROM written"):
        kind, document, at, key, attempt, held, status, run_state, process = row
        step = f"document {document} at {at - world.start:.2f}: {kind} {key}"
        if status != "running":
            yield f"{step} written while it is {status}"
        if attempt != held:
            yield f"{step} written by attempt {attempt}, and {held} holds it"
        yield from (f"{step} {what}" for what in _foreign(world, process, holders.get((document, held)), at))
        if kind == "rounds" and run_state != "open":
            late.setdefault((document, attempt), set()).add(key)
    for (document, _), keys in late.items():
        if len(keys) > (HELD if world.is_quick else 1):
            yield f"document {document}: {sorted(keys)} asked of a run that was not open"


def _waste(world: World) -> Iterator[str]:
    """An attempt that is cut short costs one round, and nothing else does."""
    again: Counter[int] = Counter()
    for (session, _), times in world.begun.items():
        again[int(session.partition("/")[0])] += times - 1
    cut_short = "SELECT document_id, count(*) FROM attempts WHERE outcome IN ('expired', 'engine_broken', 'released')"
    most = dict(world.ground.rows(f"{cut_short} GROUP BY 1"))
    for document, rounds in again.items():
        cut = most.get(document, 0)
        if rounds > cut * (HELD if world.is_quick else 1):
            yield f"document {document}: {rounds} rounds were asked again, and {cut} attempts cut short"
    world.met.update(round_asked=sum(world.begun.values()), round_asked_again=again.total())
