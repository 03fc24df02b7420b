"""What every chat engine is: something that answers Requests, many at a time, and says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from eat_worker.method.rounds import Request, RoundResult


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What answers: kind of engine, model name, how many chats it runs at once, and whether it can bind answers.

    `constrained` is False for an engine that cannot honour a SpanConstraint; a run that needs one is refused when
    the worker starts.
    """

    kind: str
    model: str
    slots: int
    constrained: bool
    detail: Mapping[str, Any]


class ChatEngine(Protocol):
    """One loaded model. All methods may be called from many threads."""

    @property
    def info(self) -> EngineInfo:
        """What this engine is."""
        ...

    @property
    def oom_splits(self) -> int:
        """Batches that were halved for want of memory since the engine was loaded; 0 where none ever is."""
        ...

    def submit(self, request: Request) -> Future[RoundResult]:
        """The answer to come. The future raises TooLong, EngineError or EngineUnavailable."""
        ...

    def ask(self, request: Request) -> RoundResult:
        """The answer, waited for."""
        ...

    def close(self) -> None:
        """Give the memory back. Requests under way are answered first."""
        ...
