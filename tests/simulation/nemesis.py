"""What befalls the world: the disturbances of a plan, each at its time, and the operator's commands among them.

Knows how to do each of them; which and when is the plan's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from corpus import CHAT, EXTRACT
from database import Client
from swarm import DRAIN_SECONDS, OF_A_WORKER, OF_AN_OPERATOR, Disturbance
from turns import Task
from workers import Shared, Worker
from world import World

from eat_worker.errors import EatError
from eat_worker.storage.store import Store


class Crew:
    """The worker processes of a world, and who starts them again."""

    def __init__(self, world: World, shared: Shared) -> None:
        self.workers: list[Worker] = []
        self._world = world
        self._shared = shared
        self._started = 0
        world.is_alive = self.is_alive
        for number in range(world.plan.workers):
            self.workers.append(self._new(number))

    def is_alive(self, name: str) -> bool:
        """Whether a process of that name runs."""
        return any(worker.name == name and worker.is_alive for worker in self.workers)

    def _new(self, number: int) -> Worker:
        plan = self._world.plan
        self._started += 1
        name = f"host-{number if plan.same_names else 100 * number + self._started}"
        served: tuple[str, ...] = (CHAT,)
        if plan.two_queues:
            served = (CHAT, EXTRACT) if plan.workers == 1 else ((CHAT,), (EXTRACT,), (CHAT, EXTRACT))[number]
        return Worker(self._world, self._shared, name, served, on_end=lambda: self._again(number))

    def _again(self, number: int) -> None:
        def start() -> None:
            self.workers[number] = self._new(number)

        self._world.after(self._world.chance.uniform(0.5, 4.0), start)


class Nemesis(Client):
    """Does what the plan says. The operator's commands go through the product's own store, in a task."""

    def __init__(self, world: World, crew: Crew, run_ids: Sequence[int]) -> None:
        self.world = world
        self.operator = Store(world.ground.database(self))
        self.cancelled: set[int] = set()
        self._crew = crew
        self._runs = run_ids
        self._commands: list[Task] = []

    def pause(self) -> None:
        task = self.world.current
        if task is not None and self.world.chance.random() < 0.3:
            task.sleep(self.world.chance.uniform(0.0, 0.5))

    def begin(self) -> None:
        """Put every disturbance of the plan, and the calm after them, on the agenda."""
        for one in self.world.plan.disturbances:
            self.world.after(one.after, lambda one=one: self.strike(one))  # type: ignore[misc]  # bound at once
        self.world.after(self.world.plan.calm_after, self._calm)

    def leave(self) -> None:
        """The world is over: an operator who waits does so no longer."""
        for command in self._commands:
            command.kill()

    def strike(self, one: Disturbance) -> None:
        """Do it now. It counts where there is anything that it can strike."""
        world = self.world
        worker = self._crew.workers[int(one.target * len(self._crew.workers))]
        run_id = self._runs[int(one.target * len(self._runs))]
        world.note("nemesis", f"{one.kind} {one.seconds:.1f} s, worker {worker.name}, run {run_id}")
        if one.kind in OF_A_WORKER:
            if worker.is_alive:
                world.seen[one.kind] += _strike_worker(worker, one)
        elif one.kind in OF_AN_OPERATOR:
            self._commands.append(Task(world, one.kind, lambda: self._command(one, run_id, worker), _ended(world)))
        elif one.kind == "flush":
            world.seen[one.kind] += world.broker.forget() > 0
        elif one.kind == "redeliver":
            world.seen[one.kind] += world.broker.redeliver() > 0
        else:
            world.seen[one.kind] += 1
            self._away(one)

    def _away(self, one: Disturbance) -> None:
        world = self.world
        place, name = (world.broker, "is_away") if one.kind == "broker_away" else (world, one.kind)
        setattr(place, name, True)

        def back() -> None:
            setattr(place, name, False)
            world.broker.wake()
            if one.kind == "database_away":
                world.database_back_at.append(world.now)
            world.note("nemesis", f"{one.kind}: back")

        world.after(one.seconds, back)

    def _command(self, one: Disturbance, run_id: int, worker: Worker) -> None:
        operator, world, changed = self.operator, self.world, 1
        try:
            match one.kind:
                case "pause":
                    operator.operating.pause_run(run_id)
                    assert world.current is not None
                    world.current.sleep(one.seconds)
                    self._resume(run_id)
                case "cancel":
                    self.cancelled.add(run_id)
                    _, changed = operator.operating.cancel_run(run_id)
                case "reopen":
                    changed = operator.operating.reopen_failed(run_id)
                case "priority":
                    operator.operating.set_priority(run_id, int(10 * one.target))
                case "free_the_dead":
                    dead = [owner for owner in operator.operating.lease_owners() if not self._crew.is_alive(owner)]
                    changed = sum(map(self._free, dead))
                case "free_the_living":  # as somebody does who takes it for dead
                    changed = self._free(worker.name)
        except EatError as error:
            world.note("operator", f"{one.kind}: {error}")
        else:
            world.seen[one.kind] += changed > 0

    def _free(self, owner: str) -> int:
        freed = self.operator.operating.expire_leases(owner)
        for worker in self._crew.workers:
            if worker.name == owner:  # perhaps one that began meanwhile, under the name of a dead one
                worker.excuse(0.0)
        return freed

    def _resume(self, run_id: int) -> None:
        """Resume a run: its hints are forgotten, so that they may be sent again at once."""
        self.world.resuming += 1
        try:
            self.operator.operating.resume_run(run_id)
        finally:
            self.world.resuming -= 1
            self.world.resumed_at = self.world.now
            self.world.hinted.clear()

    def _calm(self) -> None:
        self.world.calm()
        for worker in self._crew.workers:
            worker.thaw()
            worker.engine.hangs = False

        def resume_all() -> None:
            for run_id in self._runs:
                if self.operator.runs.get_run(run_id).state == "paused":
                    with suppress(EatError):  # cancelled meanwhile
                        self._resume(run_id)

        Task(self.world, "resume", resume_all, _ended(self.world))


def _strike_worker(worker: Worker, one: Disturbance) -> bool:
    """Whether it was struck now; a hang comes with the next request, and is counted there."""
    match one.kind:
        case "kill":
            worker.die("by kill -9")
        case "freeze":
            worker.freeze(one.seconds)
        case "drain":
            worker.drain(min(one.seconds, DRAIN_SECONDS))
        case "starve":
            return worker.starve(one.seconds)
        case "engine_breaks":
            worker.engine_breaks("by chance")
        case "hang":
            worker.engine.hangs = True
            return False
    return True


def _ended(world: World) -> Callable[[Task, BaseException | None], None]:
    def report(task: Task, error: BaseException | None) -> None:
        if error is not None:
            world.violate(f"{task.name}: {type(error).__name__}: {error}")

    return report
