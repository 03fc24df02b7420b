"""The engine over a Qwen2 of random weights: real code, answers without sense."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eat_worker.engines.qwen.engine import Qwen
from eat_worker.method.document import Stage
from eat_worker.method.rounds import Constraint, Limits, Message, Request

if importlib.util.find_spec("torch") is None:  # the extra [gpu] is not installed
    collect_ignore_glob = ["test_*.py"]

OPENING = (
    Message("system", "You are a helpful assistant. Translate the sentence into English, and think step by step."),
    Message("user", "The sentence names a person, a location and an organization. What is the translation?"),
    Message("assistant", "Angela Merkel besuchte Volkswagen in Wolfsburg. Think of the sentence itself."),
)
WORDS = (
    "Angela",
    "Merkel",
    "besuchte",
    "Wolfsburg",
    "서울에서",
    "北京大学",
    "Москве",
    "the",
    "answer",
    "is",
    "a",
    "person",
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Passes of this size are over before a second thread has begun."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def open_qwen(tiny_qwen_folder: Path) -> Iterator[Callable[..., Qwen]]:
    """Opens engines in float32 on the CPU; they are closed when the test is over."""
    opened: list[Qwen] = []

    def open_(base: Path = tiny_qwen_folder, **chosen: Any) -> Qwen:
        usual = {"adapter": None, "device": "cpu", "quantisation": "none", "dtype": "float32", "slots": 8}
        opened.append(Qwen(base, **(usual | {"context": 1024} | chosen)))
        return opened[-1]

    yield open_
    for engine in opened:
        engine.close()


@pytest.fixture
def request_for() -> Callable[..., Request]:
    """Makes requests: `request_for("text")`, or by number with a text of their own."""

    def make(
        about: str | int,
        *,
        tokens: int = 16,
        constraint: Constraint | None = None,
        adapter: bool = False,
        last: bool = True,
        session: str = "",
        opening: tuple[Message, ...] = OPENING,
    ) -> Request:
        if isinstance(about, int):
            about = " ".join(WORDS[(about * 7 + at * at) % len(WORDS)] for at in range(3 + about % 9))
        return Request(
            session=session or about,
            stage=Stage.FORWARD,
            messages=(*opening, Message("user", about)),
            variables={},
            limits=Limits(tokens),
            constraint=constraint,
            shared=len(opening),
            adapter=adapter,
            last=last,
        )

    return make
