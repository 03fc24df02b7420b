"""One seed from its plan to its verdict.

Knows how a world is put together and when it is over. The product's modules read the clock and a few periods from
their own globals; `virtual` puts the world's there while worlds run in this process.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

from corpus import CONFIGS, KINDS, MOST, submit
from database import Client, Ground
from invariants import Result, judge, result_of
from nemesis import Crew, Nemesis
from swarm import Plan, draw, faultless
from workers import Shared
from world import START, Clock, World

from eat_worker.jobs import worker as product
from eat_worker.jobs.broker import dispatcher
from eat_worker.jobs.document import advance, stages
from eat_worker.method import backward, chat, direct, extract, forward, matching
from eat_worker.retry import Backoff
from eat_worker.storage import engine, operating
from eat_worker.storage.store import Store

# After the faults stop everything has ended within so many seconds and the time that its rounds take, ten per document,
# where one worker does them all: a document that kills five workers takes as many leases and restarts.
LIMIT_SECONDS = 250.0
# An idle minute costs nothing, and a hint lost from a queue that is never empty is found again soon.
PERIODS: tuple[tuple[Any, str, Any], ...] = (
    (dispatcher, "IDLE", Backoff(1.0, 5.0, steady=1.0)),
    (dispatcher, "STALE_SECONDS", 60.0),
    (product, "IDLE", Backoff(0.5, 5.0, steady=1.0)),
)
STORY = ("SELECT * FROM history", "SELECT * FROM written", "SELECT * FROM attempts", "SELECT * FROM events")
# Asked about the same few sentences in every world; what they say does not depend on anything else.
PURE: tuple[tuple[Any, str], ...] = (
    *((chat, name) for name in ("flags_of", "translation_flags", "alignment_flags")),
    (matching, "match"),
    *((backward, name) for name in ("match", "span_of")),
    (forward, "list_of"),
    (extract, "parse_entities"),
    (direct, "projected_entities"),
    (stages, "score"),
)
UNFINISHED = "SELECT count(*) FROM documents WHERE status IN ('queued', 'running')"
OPEN = "SELECT count(*) FROM runs WHERE state NOT IN ('complete', 'cancelled')"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a seed ended.

    `seen` are the faults that struck, `met` what the product did about them. `seconds` is the virtual time from the
    calm to the end, `virtual` all of it. `digest` is the same whenever the same things happened in the same order.
    """

    seed: int
    violations: list[str]
    seen: Counter[str]
    met: Counter[str]
    statuses: Counter[str]
    seconds: float
    virtual: float
    digest: str
    trace: list[str]


class Simulator:
    """Runs seeds, one after the other, in this process. Used inside `virtual`; the spool's files lie in `folder`."""

    def __init__(self, clock: Clock, folder: Path) -> None:
        self.ground = Ground()
        self._clock = clock
        self._shared = Shared(folder)
        self._expected = {kind: self._faultless(kind) for kind in KINDS}

    def run(self, seed: int, *, traced: bool = False) -> Verdict:
        """The verdict on one seed."""
        plan = draw(seed, KINDS)
        world, nemesis, is_over = self._lived(plan, traced=traced)
        count = len(CONFIGS[plan.kind].stages()) - 1
        judge(world, nemesis, count, self._expected[plan.kind], is_over=is_over)
        seconds = world.now - START
        return Verdict(
            seed=seed,
            violations=world.violations,
            seen=world.seen,
            met=world.met,
            statuses=Counter(dict(self.ground.rows("SELECT status, count(*) FROM documents GROUP BY 1"))),
            seconds=seconds - plan.calm_after,
            virtual=seconds,
            digest=sha256(repr([self.ground.rows(sql) for sql in STORY]).encode()).hexdigest(),
            trace=world.trace or [],
        )

    def _lived(self, plan: Plan, *, traced: bool = False) -> tuple[World, Nemesis, bool]:
        random.seed(plan.seed)
        for file in self._shared.spool.glob("*"):
            file.unlink()
        self._clock.world = world = World(self.ground, plan, traced=traced)
        store = Store(self.ground.database(Client()))
        runs = submit(store, plan.kind, plan.runs, two_queues=plan.two_queues)
        crew = Crew(world, self._shared)
        nemesis = Nemesis(world, crew, [run.id for run in runs])
        nemesis.begin()
        over: list[bool] = []
        world.after(plan.calm_after, lambda: self._look(world, crew, over))
        with _logged(world):
            world.run(START + plan.calm_after + LIMIT_SECONDS + _work(plan), lambda: bool(over))
        for worker in crew.workers:
            worker.leave()
        nemesis.leave()
        world.run(world.now, lambda: False)
        return world, nemesis, bool(over)

    def _look(self, world: World, crew: Crew, over: list[bool]) -> None:
        """Look once a second whether every document and run has ended, and nobody works on any."""
        rows = self.ground.rows
        busy = any(worker.has_work for worker in crew.workers)
        if not busy and not rows(UNFINISHED)[0][0] and not rows(OPEN)[0][0]:
            over.append(True)
        else:
            world.after(1.0, lambda: self._look(world, crew, over))

    def _faultless(self, kind: str) -> dict[int, Result]:
        world, _, is_over = self._lived(faultless(kind, MOST))
        assert (is_over, world.violations) == (True, []), f"{kind}: not even without faults"
        return {document: result_of(world, document) for document in range(1, MOST + 1)}


@contextmanager
def virtual() -> Iterator[Clock]:
    """The product's clocks and periods are those of the worlds while the block lasts."""
    clock = Clock()
    log = logging.getLogger("eat_worker")
    level, log.propagate = log.level, False
    with ExitStack() as stack:
        for module in (advance, operating, engine):
            stack.enter_context(patch.object(module, "time", clock))
        for module, name, value in PERIODS:
            stack.enter_context(patch.object(module, name, value))
        for module, name in PURE:
            stack.enter_context(patch.object(module, name, _remembered(getattr(module, name))))
        log.setLevel(logging.CRITICAL + 1)
        try:
            yield clock
        finally:
            log.setLevel(level)
            log.propagate = True


def _work(plan: Plan) -> float:
    return 10 * plan.documents * plan.pace / plan.slots


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[str, Any] = {}

    def answer(*arguments: Any, **options: Any) -> Any:
        question = repr((arguments, options))
        if question not in known:
            known[question] = function(*arguments, **options)
        return known[question]

    return answer


@contextmanager
def _logged(world: World) -> Iterator[None]:
    """What the product says goes into the trace."""
    if world.trace is None:
        yield
        return
    log, handler = logging.getLogger("eat_worker"), _Handler(world)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield
    log.setLevel(level)
    log.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        self._world.note("log", record.getMessage())
