"""What every chat engine is: something that answers Requests, many at a time, and says what it is.

An engine is a module or package of this folder with an `EngineKind` named KIND, and one line in `settings.ENGINES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from eat_worker.method.rounds import Request, RoundResult
from eat_worker.models.installed import locate
from eat_worker.settings import Settings


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


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `eat doctor`. `fix` says what to do where `ok` is False."""

    name: str
    ok: bool
    detail: str
    fix: str = ""

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat doctor --json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class EngineKind:
    """What the program knows of an engine that is not loaded. To import it imports no model library and no httpx."""

    #: All that an answer depends on: {"model", "weights", "adapter", ...}; `weights` None: the operator answers for
    #: the model's name. Reads and hashes files. Raises ModelMissing, ConfigurationError.
    identity: Callable[[Settings], dict[str, Any]]
    #: Loads the engine. Raises as `identity`, and what the engine raises when it cannot start.
    open: Callable[[Settings], ChatEngine]
    #: The line `model` of `eat doctor`; may raise an EatError instead of failing.
    check_model: Callable[[Settings], Check]
    #: The line `engine`: whether it is installed, or answers.
    check_engine: Callable[[Settings], Check]
    #: Whether, as the settings are, it can bind answers to the text.
    binds: Callable[[Settings], bool] = lambda _settings: True


def check_weights(settings: Settings) -> Check:
    """The line `model` of an engine whose weights are files here. Raises ModelMissing, NotFound."""
    path = locate(settings.model, settings.models_dir)
    size = f"{path.stat().st_size / 1e6:,.0f} MB"
    return Check("model", ok=True, detail=f"{path} ({size}); eat model verify reads it all")
