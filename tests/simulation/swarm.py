"""What one seed draws: how large the world is, which faults it has and when. Nothing here happens by itself.

Each seed has some kinds of faults and not others: a world in which everything fails at once hides what one fault alone
would show. Periods are those of the product, or longer where an idle world would only cost time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

LEASE_SECONDS = 12.0
STUCK_SECONDS = 60.0
DRAIN_SECONDS = 15.0
MAX_FAULTS = 3
SLOW_SECONDS = 3.0  # the longest wait for a transaction

OF_A_WORKER = ("kill", "freeze", "drain", "starve", "hang", "engine_breaks")
OF_AN_OPERATOR = ("pause", "cancel", "reopen", "priority", "free_the_dead", "free_the_living")
WITH_BROKER = ("flush", "redeliver", "broker_away")
KINDS = (*OF_A_WORKER, *WITH_BROKER, "database_away", "engine_away", *OF_AN_OPERATOR)
# Chances per operation, drawn up to these.
RATES = {
    "crash_before_commit": 0.03,
    "crash_after_commit": 0.03,
    "commit_refused": 0.05,
    "commit_unanswered": 0.02,
    "crash_before_publish": 0.05,
    "crash_after_publish": 0.05,
    "publish_breaks_off": 0.1,
    "message_lost": 0.3,
    "message_doubled": 0.3,
    "message_overtakes": 0.5,
    "crash_before_ack": 0.05,
    "crash_after_ack": 0.05,
    "slow_transaction": 0.05,
    "slow_answer": 0.2,
    "crash_while_asking": 0.02,
    "engine_hiccup": 0.5,
}
TROUBLES = ("crash", "break", "too_long", "faults", "unexpected")
LIMITED = ("faults", "unexpected")  # go away after some requests


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Something that happens once: `after` seconds from the start, for `seconds` where it lasts."""

    after: float
    kind: str
    seconds: float
    target: float  # in [0, 1): which worker or run is meant, of those that there are then


@dataclass(slots=True)
class Trouble:
    """What is wrong with one document: kind, and how many requests about it fail (the LIMITED only)."""

    kind: str
    left: int = 0


@dataclass(slots=True)
class Plan:
    """Everything that a seed decides before the world begins."""

    seed: int
    kind: str  # of the runs: a key of `corpus.CONFIGS`
    runs: tuple[int, ...]  # documents of each
    workers: int
    slots: int
    with_broker: bool
    two_queues: bool
    window: int
    same_names: bool  # a process that is started again has its predecessor's name, as in a container
    pace: float  # seconds per answer, about
    calm_after: float
    rates: dict[str, float]
    disturbances: list[Disturbance]
    troubles: dict[int, Trouble] = field(default_factory=dict)  # by document

    @property
    def documents(self) -> int:
        """Documents of all runs."""
        return sum(self.runs)


def draw(seed: int, kinds: tuple[str, ...]) -> Plan:
    """The plan of a seed."""
    chance = Random(seed)
    documents = chance.randint(4, 8)
    second = chance.randint(1, documents - 2) if chance.random() < 0.3 else 0
    with_broker = chance.random() < 0.75
    calm_after = chance.uniform(10.0, 40.0)
    quick = chance.random() < 0.15
    workers = chance.choice((1, 2, 2, 3))
    plan = Plan(
        seed=seed,
        kind=chance.choice(kinds),
        runs=(documents - second, second) if second else (documents,),
        workers=workers,
        slots=chance.choice((1, 2, 2, 3) if workers > 1 else (2, 3)),
        with_broker=with_broker,
        two_queues=chance.random() < 0.3,
        window=chance.randint(1, 4),
        same_names=chance.random() < 0.5,
        pace=chance.uniform(0.005, 0.03) if quick else chance.uniform(0.5, 5.0),
        calm_after=calm_after,
        rates={name: chance.uniform(0, most) if chance.random() < 0.3 else 0.0 for name, most in RATES.items()},
        disturbances=_disturbances(chance, calm_after, with_broker=with_broker),
    )
    for document in range(1, documents + 1):
        if chance.random() < 0.12:
            kind = chance.choice(TROUBLES)
            left = chance.randint(1, 5) if kind in LIMITED else 0
            plan.troubles[document] = Trouble(kind, left)
    return plan


def faultless(kind: str, documents: int) -> Plan:
    """A plan in which nothing goes wrong."""
    return Plan(0, kind, (documents,), 1, 1, True, False, 4, False, 1.0, 0.0, dict.fromkeys(RATES, 0.0), [])


def _disturbances(chance: Random, calm_after: float, *, with_broker: bool) -> list[Disturbance]:
    found = []
    for kind in KINDS:
        if chance.random() < 0.3 and (with_broker or kind not in WITH_BROKER):
            for _ in range(1 if kind in ("hang", "engine_breaks", "cancel") else chance.randint(1, 3)):
                # Half of them end soon, half last longer than a lease does; a short want of heartbeats is none.
                is_short = chance.random() < 0.5 and kind != "starve"
                seconds = chance.uniform(0.5, 10.0) if is_short else chance.uniform(20.0, 50.0)
                one = Disturbance(chance.uniform(0.0, calm_after), kind, seconds, chance.random())
                found.append(one)
                if kind in ("freeze", "starve") and chance.random() < 0.3:
                    # What looks dead is told to end: it may hold what others took from it long ago.
                    after = min(one.after + one.seconds, calm_after)
                    found.append(replace(one, after=after, kind="drain", seconds=chance.uniform(0.1, 5.0)))
    return sorted(found, key=lambda one: one.after)
