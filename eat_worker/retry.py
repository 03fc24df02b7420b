"""How long to wait before the next try, and trying again: the only back-off of the program.

Knows pauses. Knows neither what is tried nor where a document waits.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Protocol, TypeVar

from eat_worker.errors import EatError, EngineBroken

log = logging.getLogger(__name__)
T = TypeVar("T")

# HTTP answers that a later try may change.
BUSY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class Chance(Protocol):
    """Where randomness comes from: the module `random`, or a seeded `random.Random`."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number between a and b."""
        ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double with every failure, in seconds."""

    #: The pause after the first failure, before chance shortens it.
    first: float
    #: No pause is longer.
    longest: float
    #: The share of a pause that is not left to chance. 0 is full jitter: those that failed together must not return
    #: together. 1 is none, for those who wait alone.
    steady: float = 0.0

    def pause(self, failures: int, chance: Chance = random) -> float:
        """Seconds until the next try after so many failures in a row, 1 or more."""
        most = min(self.first * 2.0 ** min(failures - 1, 30), self.longest)
        return chance.uniform(self.steady * most, most)


# Whoever holds a document while the database or the engine is away asks often: the others wait for nothing else.
HOLDING = Backoff(0.5, 10.0)


def retry(
    call: Callable[[], T], stop: Event, give_up: Callable[[], bool] = lambda: False, chance: Chance = random
) -> T:
    """What `call` returns, tried until the database or engine answers, with the pauses of `HOLDING`.

    Raises its error when that is not retryable here, when `give_up`, asked after every failure, says so, and once
    `stop` is set (after one more try).
    """
    failures = 0
    while True:
        last = stop.is_set()
        try:
            return call()
        except EatError as error:
            if last or not error.retryable or isinstance(error, EngineBroken) or give_up():
                raise
            failures += 1
            pause = HOLDING.pause(failures, chance)
            log.warning("%s; trying again in %.1f s", error, pause)
        stop.wait(pause)
