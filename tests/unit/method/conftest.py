"""A model that answers from a table, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from eat_worker.method.document import Stage
from eat_worker.method.rounds import Request, RoundResult


class Table:
    """Answers each stage's rounds from a list, in order; an answer is a text or a whole result."""

    def __init__(self, answers: Mapping[Stage, Sequence[str | RoundResult]]) -> None:
        self._answers = {stage: list(answered) for stage, answered in answers.items()}
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> RoundResult:
        self.requests.append(request)
        answer = self._answers[request.stage].pop(0)
        return answer if isinstance(answer, RoundResult) else RoundResult(answer)

    @property
    def is_spent(self) -> bool:
        """Whether every answer was asked for."""
        return not any(self._answers.values())


@pytest.fixture
def table() -> Callable[..., Table]:
    """Makes a model from its answers by stage."""
    return Table
