"""Loops, kinds of faults, caps and rates, on numbers written by hand."""

from __future__ import annotations

import pytest

from eat_worker.engines.qwen.guards import Caps, Failure, FaultRate, failure_of, loop_at_end, loop_in_text


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        ([5] * 7, None),
        ([5] * 8, 1),
        ([1, 2, 3] + [5] * 8, 4),
        ([9] + [1, 2, 3] * 8, 4),
        ([9] + [1, 2, 3] * 7 + [1, 2], None),
        ([9] + [1, 2, 3] * 8 + [1], 4),
        ([1, 2, 3, 4, 5, 6, 7, 8] * 8, 8),
        (list(range(9)) * 8, None),  # longer than the n-grams that are looked for
        ([1, 2] * 8 + [3], None),  # it came out again
        ([], None),
    ],
)
def test_a_loop_is_the_same_run_eight_times_and_is_kept_once(tokens: list[int], kept: int | None) -> None:
    assert loop_at_end(tokens) == kept


def test_a_long_loop_shows_in_how_well_the_text_compresses() -> None:
    tokens = [1, 2, *list(range(10, 30)) * 20]
    text = b"ab" + b"the quick brown fox jumps over" * 20
    assert loop_in_text(tokens, text) == 22
    assert loop_in_text(tokens, b"Angela Merkel visited Volkswagen in Wolfsburg.") is None
    assert loop_in_text([1, 2, 3], b"a" * 1000) == 3


def test_torch_errors_are_told_apart_by_type_and_by_their_words() -> None:
    import torch

    assert failure_of(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")) is Failure.MEMORY
    assert failure_of(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")) is Failure.MEMORY
    assert failure_of(
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9")
    ) is (Failure.MEMORY)
    assert failure_of(torch.AcceleratorError("an illegal memory access was encountered")) is Failure.DEVICE
    assert failure_of(RuntimeError("CUDA error: device-side assert triggered")) is Failure.DEVICE
    assert failure_of(RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED when calling")) is Failure.DEVICE
    assert failure_of(RuntimeError("shape '[2, 3]' is invalid")) is Failure.SEQUENCE


def test_what_did_not_fit_is_remembered_by_length() -> None:
    caps = Caps()
    assert caps.sequences(500) is None
    assert caps.halve(500, 16) == 8
    assert [caps.sequences(columns) for columns in (256, 257, 500, 512, 4000)] == [None, 8, 8, 8, 8]
    assert caps.halve(2000, 8) == 4
    assert [caps.sequences(columns) for columns in (500, 2000)] == [8, 4]
    assert caps.halve(500, 64) == 32
    assert caps.sequences(500) == 8
    assert caps.halve(100, 1) == 1


def test_one_numeric_fault_in_a_hundred_is_bad_luck_and_more_are_not() -> None:
    rate = FaultRate()
    for number in range(199):
        rate.count(fault=number < 2)
    assert not rate.too_many
    rate.count(fault=False)
    assert not rate.too_many  # 2 of 200
    rate.count(fault=True)
    assert rate.too_many  # 3 of 201


def test_few_answers_say_nothing_about_the_rate() -> None:
    rate = FaultRate()
    for _ in range(199):
        rate.count(fault=True)
    assert not rate.too_many
