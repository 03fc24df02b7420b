"""Asks a model about held-out pairs through the `qwen` engine, in a process of its own.

The engine changes 4-bit weights in memory on some CPUs, after which they cannot be trained on, and a GPU's memory is
given back whole only when a process ends. So what is measured before and after training never shares its process.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eat_worker.errors import EngineUnavailable, NumericFault, TooLarge, TooLong
from eat_worker.method.config import MethodConfig
from eat_worker.method.rounds import Request, RoundResult
from eat_worker.training.adapter.accuracy import accuracy
from eat_worker.training.eacl.pairs import EaclPair

_SLOTS = 24  # chats at once: on two CPUs more gain nothing
_CONTEXT = 2048  # tokens of a chat


@dataclass(frozen=True, slots=True)
class Measured:
    """What is asked: a base in a precision (nf4, bf16), with an adapter or without one, on so many CPU threads."""

    base: Path
    base_precision: str
    adapter: Path | None
    threads: int


def measure_apart(what: Measured, pairs: Sequence[EaclPair], config: MethodConfig) -> dict[str, Any]:
    """The accuracy of the model on the pairs (see `accuracy`), measured in a new process.

    Raises what the engine raises, EngineUnavailable when the process is killed, as it is when memory runs out.
    """
    # A forked process would inherit the threads of torch and the state of its GPU.
    spawn = multiprocessing.get_context("spawn")
    # Ctrl-C reaches both processes; only this one has something to say about it.
    with ProcessPoolExecutor(1, spawn, signal.signal, (signal.SIGINT, signal.SIG_DFL)) as apart:
        try:
            return apart.submit(measure, what, pairs, config).result()
        except BrokenProcessPool as error:
            raise EngineUnavailable("the process that measures was killed; is there memory for the model?") from error


def measure(what: Measured, pairs: Sequence[EaclPair], config: MethodConfig) -> dict[str, Any]:
    """The accuracy of the model on the pairs, in this process."""
    import torch

    from eat_worker.engines.qwen.engine import Qwen

    torch.set_num_threads(what.threads)
    quantisation = "nf4" if what.base_precision == "nf4" else "none"
    engine = Qwen(what.base, adapter=what.adapter, quantisation=quantisation, slots=_SLOTS, context=_CONTEXT)

    def answer_all(requests: Sequence[Request]) -> list[RoundResult]:
        futures = [engine.submit(request) for request in requests]
        return [_answer(future) for future in futures]

    try:
        return accuracy(pairs, answer_all, config=config)
    finally:
        engine.close()


def _answer(future: Future[RoundResult]) -> RoundResult:
    try:
        return future.result()
    except (TooLong, TooLarge, NumericFault):  # a chat that cannot be answered is one that was answered wrong
        return RoundResult("")
