"""How long to wait before the next try. Full jitter everywhere: those that failed together must not return together.

Knows pauses. Knows neither what is tried nor where a document waits.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from threading import Event
from typing import Protocol, TypeVar

from eat_worker.errors import EatError, EngineBroken

log = logging.getLogger(__name__)
T = TypeVar("T")

# A document that failed waits in the database: up to 2 s, 4 s, ... 5 min, and its place in the worker is free.
DOCUMENT_FIRST_SECONDS = 2.0
DOCUMENT_LONGEST_SECONDS = 300.0
# Whoever holds a document while the database or the engine is away asks more often: the others wait for nothing else.
RETRY_FIRST_SECONDS = 0.5
RETRY_LONGEST_SECONDS = 10.0


class Chance(Protocol):
    """Where randomness comes from: the module `random`, or a seeded `random.Random`."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number between a and b."""
        ...


def pause_of(failures: int, chance: Chance = random) -> float:
    """Seconds until a document is tried again that has failed so often, 1 or more."""
    return chance.uniform(0, min(DOCUMENT_FIRST_SECONDS * 2.0 ** min(failures - 1, 30), DOCUMENT_LONGEST_SECONDS))


def patiently(
    call: Callable[[], T], stop: Event, give_up: Callable[[], bool] = lambda: False, chance: Chance = random
) -> T:
    """What `call` returns, tried until the database or engine answers: growing pauses with full jitter.

    Raises its error when that is not retryable here, when `give_up`, asked after every failure, says so, and once
    `stop` is set (after one more try).
    """
    longest = RETRY_FIRST_SECONDS
    while True:
        last = stop.is_set()
        try:
            return call()
        except EatError as error:
            if last or not error.retryable or isinstance(error, EngineBroken) or give_up():
                raise
            pause = chance.uniform(0, longest)
            log.warning("%s; trying again in %.1f s", error, pause)
            stop.wait(pause)
            longest = min(2 * longest, RETRY_LONGEST_SECONDS)
