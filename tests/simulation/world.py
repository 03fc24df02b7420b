"""The simulated world of one seed: its clock, its chance, what is away, what struck, and what was found wrong.

Knows neither workers nor disturbances; they know it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import inf
from random import Random

from broker import Broker
from database import Ground
from swarm import Plan
from turns import Agenda

START = 1_700_000_000.0


class World(Agenda):
    """Everything that the tasks of one seed share."""

    def __init__(self, ground: Ground, plan: Plan, *, traced: bool = False) -> None:
        super().__init__(START)
        self.ground = ground
        self.plan = plan
        self.rates = dict(plan.rates)
        self.chance = Random(f"world {plan.seed}")
        self.broker = Broker(self, self.chance, self.strikes)
        self.database_away = False
        self.database_back_at: list[float] = []
        self.engine_away = False
        self.violations: list[str] = []
        self.trace: list[str] | None = [] if traced else None
        self.seen: Counter[str] = Counter()  # faults that struck
        self.met: Counter[str] = Counter()  # what the product did about them
        self.begun: Counter[tuple[str, str]] = Counter()  # rounds on which model time was spent
        self.hinted: dict[tuple[int, int], float] = {}  # when a hint was sent last, by document and attempt
        self.ends: dict[str, float] = {}  # when a process ended
        self.outages: list[tuple[str, float]] = []  # when a process found that the database was away
        self.excuses: list[tuple[str, float, float]] = []  # when a process may have been kept from its leases
        self.resuming = 0  # commands under way that make the database forget hints
        self.resumed_at = -inf  # when the last of them ended
        self.processes = 0
        self.running: set[int] = set()  # numbers of processes that have not ended
        self.deaths_by_chance = 0  # of processes that no document killed
        self.is_alive: Callable[[str], bool] = lambda _: False  # whether a process of that name runs
        self.is_quick = plan.pace < 0.1  # answers come faster than each of them is written
        self.start = START
        ground.reset(lambda: self.now)

    def strikes(self, name: str) -> bool:
        """Whether a fault that has a rate happens now."""
        rate = self.rates[name]
        if rate > 0 and self.chance.random() < rate:
            self.seen[name] += 1
            return True
        return False

    def begin_process(self, name: str) -> str:
        """What the process that begins now is called in the records; others had its name before."""
        self.processes += 1
        self.running.add(self.processes)
        return f"{name}#{self.processes}"

    def calm(self) -> None:
        """From now on nothing fails by chance; what is away comes back."""
        for name in self.rates:
            self.rates[name] = 0.0
        if self.database_away:
            self.database_back_at.append(self.now)
        self.database_away = self.engine_away = self.broker.is_away = False
        self.broker.wake()
        self.note("calm", "")

    def violate(self, what: str) -> None:
        """Something that must never be."""
        self.violations.append(what)
        self.note("VIOLATION", what)

    def note(self, who: str, what: str) -> None:
        """One line of the trace."""
        if self.trace is not None:
            self.trace.append(f"{self.now - START:8.2f}  {who:10}  {what}")


class Clock:
    """What the module `time` is to the product while worlds run: the clock of the one that runs now."""

    def __init__(self) -> None:
        self.world: Agenda | None = None

    def sleep(self, seconds: float) -> None:
        """Let them pass, where a task asks for it."""
        if self.world and self.world.current:
            self.world.current.sleep(seconds)

    def monotonic(self) -> float:
        """Virtual seconds."""
        return self.world.now if self.world else 0.0
