"""The rounds of one claim on their way into the database: written as they arrive, very fast ones together.

Knows what was recorded and what is written. Knows no database: `write` is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from eat_worker.method.document import RoundOutput
from eat_worker.storage.values import Claim

# Rounds that came within this many seconds of the last write wait for the next one. A kill costs at most the round in
# flight and as much model time as this; an engine that answers at once does not pay a transaction per answer.
HOLD_SECONDS = 0.05


class RoundLog:
    """What was answered under one claim. `write` stores rounds and says what state their run is in."""

    def __init__(self, write: Callable[[Sequence[RoundOutput]], str], clock: Callable[[], float]) -> None:
        self.recorded: list[RoundOutput] = []
        self.run_state = "open"  # as of the last write
        self._write = write
        self._clock = clock
        self._written = 0
        self._written_at = clock()

    @property
    def waiting(self) -> list[RoundOutput]:
        """Recorded, not yet written."""
        return self.recorded[self._written :]

    def record(self, output: RoundOutput) -> None:
        """Take one round; write it, and those waiting, unless the last write was a moment ago."""
        self.recorded.append(output)
        if self._clock() - self._written_at >= HOLD_SECONDS:
            self.flush()

    def known(self, claim: Claim) -> Claim:
        """The claim with the rounds recorded here among its own."""
        return replace(claim, rounds=(*claim.rounds, *self._missing(claim))) if self.recorded else claim

    def flush(self) -> None:
        """Write whatever waits. Raises LeaseLost or StoreUnavailable; what was not written keeps waiting."""
        if waiting := self.waiting:
            self.run_state = self._write(waiting)
            self._written += len(waiting)
        self._written_at = self._clock()

    def _missing(self, claim: Claim) -> list[RoundOutput]:
        there = {(output.stage, output.entity, output.round) for output in claim.rounds}
        return [output for output in self.recorded if (output.stage, output.entity, output.round) not in there]
