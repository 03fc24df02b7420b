"""The engine of one simulated process: the product's scripted answers, at the pace and with the faults of the plan.

Knows which document a request is about by its session. Knows nothing of queues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarm import LIMITED

from eat_worker.engines.engine import EngineInfo
from eat_worker.engines.scripted import Scripted
from eat_worker.errors import EngineBroken, EngineError, EngineUnavailable, TooLong
from eat_worker.jobs.monitor.engine import Pulse
from eat_worker.method.rounds import Request, RoundResult

if TYPE_CHECKING:
    from workers import Worker

AWAY_SECONDS = 0.2


class Answers:
    """What stands where a worker's engine stands. `hangs` makes the next request one that is never answered."""

    def __init__(self, worker: Worker, scripted: Scripted) -> None:
        self.info: EngineInfo = scripted.info
        self.hangs = False
        self.is_broken = False
        self._slow_until = 0.0
        self._worker = worker
        self._world = worker.world
        self._scripted = scripted
        self._pulse = Pulse(lambda: worker.world.now)
        self.silent_for = self._pulse.silent_for

    def ask(self, request: Request) -> RoundResult:
        """The scripted answer, after a while; or what is wrong with engine, document or process."""
        worker, world = self._worker, self._world
        if worker.stop.is_set():
            world.violate(f"{worker.name} asks a round about {request.session} after it was told to stop")
        document, _, _ = request.session.partition("/")
        self._pulse.begin()
        try:
            self._may_fail(int(document), request)
            world.begun[request.session, request.messages[-1].content] += 1
            worker.sleep(self._seconds())
            self._may_be_broken()
        finally:
            self._pulse.end()
        return self._scripted.ask(request)

    def _seconds(self) -> float:
        chance, pace = self._world.chance, self._world.plan.pace
        if self.hangs:
            self.hangs = False
            self._world.seen["hang"] += 1
            return 1e9
        now = self._world.now
        if self._slow_until <= now < self._worker.starved_until:
            # One at a time: the others go on, and may be given the document that it loses.
            self._slow_until = now + chance.uniform(25.0, 50.0)
            return self._slow_until - now
        if self._world.strikes("slow_answer"):
            return chance.uniform(15.0, 45.0)  # about as long as a lease, or twice
        return chance.uniform(0.3 * pace, 1.7 * pace)

    def _may_fail(self, document: int, request: Request) -> None:
        world, worker = self._world, self._worker
        self._may_be_broken()
        if world.engine_away:
            worker.sleep(AWAY_SECONDS)
            raise EngineUnavailable("the model server is away")
        if world.strikes("engine_hiccup"):
            raise EngineUnavailable("the model server hiccups")
        if world.strikes("crash_while_asking"):
            worker.crash("while it asked")
        trouble = world.plan.troubles.get(document)
        if trouble is None or (trouble.kind in LIMITED and trouble.left == 0):
            return
        world.seen[f"document_{trouble.kind}"] += 1
        match trouble.kind:
            case "crash":
                worker.sleep(self._seconds())
                worker.crash(f"of document {document}", by_document=True)
            case "break":
                worker.engine_breaks(f"by document {document}")
                self._may_be_broken()
            case "too_long":
                raise TooLong("the text does not fit")
            case _:
                trouble.left -= 1
                error = EngineError("a fault of the document") if trouble.kind == "faults" else ValueError("ours")
                world.note(worker.name, f"document {document} fails: {error}")
                raise error

    def _may_be_broken(self) -> None:
        if self.is_broken:
            raise EngineBroken("the device is lost")
