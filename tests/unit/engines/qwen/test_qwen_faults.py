"""What happens when the device, the memory or the numbers fail: each provoked by a hook on the real model."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from eat_worker.engines.qwen.engine import Qwen
from eat_worker.errors import EngineBroken, EngineError, NumericFault, TooLarge
from eat_worker.method.rounds import Request, RoundResult

Open = Callable[..., Qwen]
For = Callable[..., Request]


def together(engine: Qwen, requests: list[Request]) -> list[RoundResult | BaseException]:
    futures = [engine.submit(request) for request in requests]
    return [future.exception(timeout=60) or future.result() for future in futures]


def texts(results: list[RoundResult | BaseException]) -> list[str]:
    return [result.text if isinstance(result, RoundResult) else type(result).__name__ for result in results]


def body(engine: Qwen) -> Any:
    return engine._scheduler._weights.causal.get_decoder()


def before_each_pass(engine: Qwen, do: Callable[[Any], None]) -> Any:
    """Calls `do` with the token ids, (sequences, queries), before the real model reads them."""

    def hook(module: Any, given: Any, named: dict[str, Any]) -> None:
        do(named["input_ids"])

    return body(engine).register_forward_pre_hook(hook, with_kwargs=True)


def test_memory_that_ends_halves_the_batch_and_is_remembered(
    open_qwen: Open, request_for: For, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    requests = [request_for(at) for at in range(16)]
    expected = texts(together(open_qwen(slots=8), requests))
    engine = open_qwen(slots=8)
    widths: list[int] = []

    def small_device(ids: Any) -> None:
        widths.append(len(ids))
        if len(ids) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with caplog.at_level(logging.WARNING), before_each_pass(engine, small_device):
        assert texts(together(engine, requests)) == expected
        failed = sum(width > 3 for width in widths)
        assert 1 <= failed <= 2  # 8 slots, then 4, then 2 that fit
        assert "memory ran out with" in caplog.text
        widths.clear()
        assert texts(together(engine, requests)) == expected
    assert max(widths) == 2  # nothing is tried again that is known not to fit
    assert engine.oom_splits == failed


def test_a_chat_that_does_not_fit_alone_is_too_large_and_the_others_are_answered(
    open_qwen: Open, request_for: For
) -> None:
    engine = open_qwen()

    def small_device(ids: Any) -> None:
        if ids.shape[1] > 200:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")

    with before_each_pass(engine, small_device):
        large, *others = together(engine, [request_for("Oslo " * 200), request_for("Ann"), request_for("Bob")])
    assert isinstance(large, TooLarge)
    assert "even alone" in str(large)
    assert all(isinstance(other, RoundResult) for other in others)
    assert isinstance(engine.ask(request_for("Oslo " * 200)), RoundResult)


def test_a_chat_that_runs_alone_gets_the_memory_of_the_others_before_it_is_too_large(
    open_qwen: Open, request_for: For
) -> None:
    import torch

    engine = open_qwen()
    (bad,) = engine._chat.plain_ids("Q")
    tries: list[int] = []

    def needs_all_memory(ids: Any) -> None:
        if not bool((ids == bad).any()):
            return
        tries.append(len(ids))
        if len(tries) == 1:
            raise RuntimeError("not this one")  # sets it aside, to run alone
        if engine._scheduler._batch is not None or len(engine._scheduler._prefix_cache):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with before_each_pass(engine, needs_all_memory):
        engine.ask(request_for("kept", last=False))
        results = together(engine, [request_for("Ann", tokens=300), request_for("Q")])
    assert all(isinstance(result, RoundResult) for result in results)
    assert tries[-1] == 1


def test_no_memory_to_keep_a_chat_costs_no_answer(
    open_qwen: Open, request_for: For, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from eat_worker.engines.qwen.kv_cache import KVCache

    requests = [request_for(at, tokens=4 + at) for at in range(6)]
    expected = texts(together(open_qwen(slots=4), requests))
    take, failed = KVCache.taken, [1, 2]

    def small_device(self: KVCache, slot: int, length: int) -> Any:
        if failed:
            failed.pop()
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return take(self, slot, length)

    monkeypatch.setattr(KVCache, "taken", small_device)
    engine = open_qwen(slots=4)
    assert texts(together(engine, requests)) == expected
    assert not failed
    assert not engine._scheduler._intake._unanswered


def test_no_memory_for_the_kv_cache_is_no_memory_for_so_many_sequences(
    open_qwen: Open, request_for: For, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from eat_worker.engines.qwen.kv_cache import KVCache

    make = KVCache._layer

    def small_device(self: KVCache) -> Any:
        if self.slots > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return make(self)

    monkeypatch.setattr(KVCache, "_layer", small_device)
    results = together(open_qwen(slots=8), [request_for(at) for at in range(6)])
    assert all(isinstance(result, RoundResult) for result in results)
    assert max(result.batch_size for result in results if isinstance(result, RoundResult)) == 2


def test_numbers_that_are_none_fail_one_chat_and_poison_no_slot(open_qwen: Open, request_for: For) -> None:
    import torch

    engine = open_qwen(slots=3)
    bad_text = "Q" + " Ann" * 30  # longer than the others: they leave columns of its slot unwritten, and read them
    good = ["Ann is a person", "Where is the answer", "Bob", "The sentence"]
    expected = texts(together(engine, [request_for(text, tokens=30) for text in good]))
    engine = open_qwen(slots=3)
    (bad,) = engine._chat.plain_ids("Q")
    with torch.no_grad():
        engine._scheduler._weights.causal.get_input_embeddings().weight[bad] = float("nan")
    # More chats than slots: others come into the slot that held the bad one.
    asked = [request_for(text, tokens=30) for text in (good[0], bad_text, *good[1:]) * 2]
    results = together(engine, asked)
    assert texts([result for result in results if isinstance(result, RoundResult)]) == expected * 2
    # A sequence that meets another's NaN in a batch is answered as well, alone. Only the last may have run so.
    assert sum(result.batch_size == 1 for result in results if isinstance(result, RoundResult)) <= 1
    faults = [result for result in results if not isinstance(result, RoundResult)]
    assert [type(fault) for fault in faults] == [NumericFault, NumericFault]
    assert "not numbers for this chat" in str(faults[0])


def test_sequences_whose_numbers_fail_only_in_company_are_answered_alone(open_qwen: Open, request_for: For) -> None:
    requests = [request_for(at) for at in range(6)]
    expected = texts(together(open_qwen(), requests))
    engine = open_qwen()

    def bend(module: Any, given: Any, logits: Any) -> Any:
        return logits * float("inf") if len(logits) > 1 else logits

    with engine._scheduler._weights.causal.lm_head.register_forward_hook(bend):
        results = together(engine, requests)
    assert texts(results) == expected
    assert {result.batch_size for result in results if isinstance(result, RoundResult)} == {1}


def test_many_numeric_faults_break_the_engine(
    open_qwen: Open, request_for: For, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eat_worker.engines.qwen import guards

    monkeypatch.setattr(guards, "FAULTS_FROM", 20)
    monkeypatch.setattr(guards, "FAULTS_SHARE", 0.1)
    engine = open_qwen()
    good = [request_for(at, tokens=2) for at in range(17)]
    assert all(isinstance(result, RoundResult) for result in together(engine, good))

    def bend(module: Any, given: Any, logits: Any) -> Any:
        return logits * float("nan")

    with engine._scheduler._weights.causal.lm_head.register_forward_hook(bend):
        results = together(engine, [request_for(at, tokens=2) for at in range(9)])
    assert Counter(map(type, results)) == {NumericFault: 3, EngineBroken: 6}
    with pytest.raises(EngineBroken, match="3 of 20 answers had logits that are not numbers"):
        engine.ask(request_for(1))


@pytest.mark.parametrize("at_pass", [1, 2, 7])
def test_a_device_that_fails_breaks_the_engine_for_everybody(at_pass: int, open_qwen: Open, request_for: For) -> None:
    import torch

    engine = open_qwen(slots=2)
    passes: list[int] = []

    def broken_device(ids: Any) -> None:
        passes.append(len(ids))
        if len(passes) == at_pass:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with before_each_pass(engine, broken_device):
        results = together(engine, [request_for(at) for at in range(7)])
        assert {type(result) for result in results[2:]} == {EngineBroken}
        assert len(passes) == at_pass  # nothing more is asked of it
        with pytest.raises(EngineBroken, match="an illegal memory access") as broken:
            engine.ask(request_for("later"))
    assert broken.value.exit_code == 70
    assert broken.value.retryable


def test_a_device_that_fails_a_chat_that_runs_alone_breaks_the_engine(open_qwen: Open, request_for: For) -> None:
    engine = open_qwen(deterministic=True)

    def broken_device(ids: Any) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    with before_each_pass(engine, broken_device):
        results = together(engine, [request_for(at) for at in range(3)])
    assert [type(result) for result in results] == [EngineBroken] * 3


def test_a_chat_that_makes_the_model_fail_fails_alone(open_qwen: Open, request_for: For) -> None:
    engine = open_qwen()
    (bad,) = engine._chat.plain_ids("Q")

    def fails_on_it(ids: Any) -> None:
        if bool((ids == bad).any()):
            raise RuntimeError("index out of range in self")

    with before_each_pass(engine, fails_on_it):
        first, guilty, last = together(engine, [request_for("Ann"), request_for("Q"), request_for("Bob")])
    assert isinstance(first, RoundResult)
    assert isinstance(last, RoundResult)
    assert type(guilty) is EngineError
    assert "the model failed: RuntimeError: index out of range" in str(guilty)


def test_a_fault_of_the_program_breaks_the_engine_and_leaves_nobody_waiting(
    open_qwen: Open, request_for: For, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_qwen()
    monkeypatch.setattr(engine._scheduler._sampler, "sample", None)
    results = together(engine, [request_for(at) for at in range(3)])
    assert {type(result) for result in results} == {EngineBroken}
    assert "TypeError" in caplog.text


def test_both_adapter_states_are_served_while_both_are_asked(
    open_qwen: Open, request_for: For, tiny_adapter_folder: Path
) -> None:
    engine = open_qwen(adapter=tiny_adapter_folder, slots=4)
    states: list[bool] = []
    layer = engine._scheduler._weights._adapted[0]
    requests = [request_for(at, adapter=at % 2 == 0, tokens=40) for at in range(12)]
    with before_each_pass(engine, lambda ids: states.append(layer.disable_adapters)):
        results = together(engine, requests)
    assert all(isinstance(result, RoundResult) for result in results)
    changes = sum(one != other for one, other in pairwise(states))
    assert 4 <= changes < len(states) / 3  # by turns of several steps, never one kind to its end
