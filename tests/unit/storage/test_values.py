"""The one rule among the values that cross the wall."""

from __future__ import annotations

import pytest

from eat_worker.method.document import Stage
from eat_worker.storage.values import queue_of


@pytest.mark.parametrize(
    ("queues", "queue"),
    [({"forward": "gpu", "score": "cpu"}, "cpu"), ({"forward": "gpu", "extract": "cpu"}, "gpu"), ({}, "default")],
)
def test_a_stage_without_a_queue_goes_where_the_run_begins(queues: dict[str, str], queue: str) -> None:
    assert queue_of(queues, Stage.SCORE) == queue
