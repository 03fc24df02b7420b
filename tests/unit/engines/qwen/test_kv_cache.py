"""What is kept for the next prompt, and what a kv_cache holds after sequences came, went and moved."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import pytest
import torch

from eat_worker.engines.qwen.kv_cache import KVCache, PrefixCache, Shape, rounded, shared_tokens

SHAPE = Shape(layers=2, heads=1, size=2, dtype=torch.float32, device=torch.device("cpu"))


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def ids(*tokens: int) -> bytes:
    return array("I", tokens).tobytes()


def states(*tokens: int) -> torch.Tensor:
    """Recognisable keys and values, (2, 2, 1, tokens, 2)."""
    return torch.tensor(tokens, dtype=torch.float32)[None, None, None, :, None].expand(2, 2, 1, -1, 2).clone()


def first_column(prefix_cache: PrefixCache, *tokens: int, adapter: bool = False) -> tuple[list[float], int]:
    found, length = prefix_cache.longest(ids(*tokens), adapter)
    return ([] if found is None else found[0, 0, 0, :, 0].tolist()), length


def test_the_common_beginning_counts_whole_tokens() -> None:
    assert shared_tokens(ids(1, 2, 3), ids(1, 2, 4)) == 2
    assert shared_tokens(ids(256), ids(512)) == 0  # the first byte is the same
    assert shared_tokens(b"", ids(1)) == 0
    assert shared_tokens(ids(*range(99)), ids(*range(99), 5)) == 99


def test_the_store_gives_the_chat_with_the_longest_common_beginning() -> None:
    prefix_cache = PrefixCache(100)
    prefix_cache.keep(ids(1, 2, 3), False, states(1, 2, 3), last=False)
    prefix_cache.keep(ids(1, 9), False, states(1, 9), last=False)
    assert first_column(prefix_cache, 1, 2, 5) == ([1, 2, 3], 2)
    assert first_column(prefix_cache, 1, 9, 9) == ([1, 9], 2)
    assert first_column(prefix_cache, 7) == ([], 0)
    assert first_column(prefix_cache, 1, 2, 5, adapter=True) == ([], 0)


def test_a_chat_that_went_on_replaces_its_beginning() -> None:
    prefix_cache = PrefixCache(100)
    prefix_cache.keep(ids(1, 2), False, states(1, 2), last=False)
    prefix_cache.keep(ids(1, 2, 3), False, states(1, 2, 3), last=False)
    prefix_cache.keep(ids(1, 2), True, states(1, 2), last=False)
    assert len(prefix_cache) == 2


def test_what_was_longest_unused_goes_first_and_chats_that_ended_before_it() -> None:
    prefix_cache = PrefixCache(6)
    prefix_cache.keep(ids(1, 1), False, states(1, 1), last=False)
    prefix_cache.keep(ids(2, 2), False, states(2, 2), last=True)
    prefix_cache.keep(ids(3, 3), False, states(3, 3), last=False)
    prefix_cache.keep(ids(4, 4), False, states(4, 4), last=False)  # 2 had ended
    assert [first_column(prefix_cache, number)[1] for number in (1, 2, 3, 4)] == [1, 0, 1, 1]
    first_column(prefix_cache, 1)
    first_column(prefix_cache, 3)
    prefix_cache.keep(ids(5, 5), False, states(5, 5), last=False)  # 4 is the longest unused
    assert [first_column(prefix_cache, number)[1] for number in (1, 3, 4, 5)] == [1, 1, 0, 1]
    prefix_cache.clear()
    assert (len(prefix_cache), first_column(prefix_cache, 1)) == (0, ([], 0))


def test_a_chat_larger_than_the_store_is_not_kept() -> None:
    prefix_cache = PrefixCache(2)
    prefix_cache.keep(ids(1, 2, 3), False, states(1, 2, 3), last=False)
    assert len(prefix_cache) == 0


def test_a_window_writes_where_each_sequence_stands_and_reads_the_slots_in_use() -> None:
    kv_cache = KVCache(SHAPE, 3, 100)
    assert (kv_cache.slots, kv_cache.columns, SHAPE.bytes_per_token) == (3, rounded(100), 32)
    window = kv_cache.window(1, torch.tensor([[0, 1], [4, 5]]), 8)
    assert window.mask()[1, 0].int().tolist() == [[1, 1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 0, 0]]
    new = torch.tensor([[[[1.0, 1], [2, 2]]], [[[3, 3], [4, 4]]]])  # (sequences, heads, queries, size)
    keys, values = window.update(new, -new, 1)
    assert keys[:, 0, :, 0].tolist() == [[1, 2, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 3, 4, 0, 0]]
    assert values[1, 0, 4:6, 1].tolist() == [-3, -4]
    assert kv_cache.taken(2, 6)[1, 0, 0, :, 0].tolist() == [0, 0, 0, 0, 3, 4]
    assert kv_cache.taken(0, 6).abs().sum() == 0


def test_slots_are_filled_copied_and_wiped() -> None:
    kv_cache = KVCache(SHAPE, 3, 8)
    kv_cache.fill(0, states(5, 6, 7), 2)
    kv_cache.copy(0, 2, 2)
    assert kv_cache.taken(2, 3)[0, 1, 0, :, 0].tolist() == [5, 6, 0]
    kv_cache.wipe(0)
    assert kv_cache.taken(0, 3).sum() == 0
    assert kv_cache.taken(2, 3)[0, 0, 0, :, 0].tolist() == [5, 6, 0]


def test_another_size_keeps_the_sequences_of_both_ends() -> None:
    kv_cache = KVCache(SHAPE, 4, 8)
    for slot, token in ((0, 1), (1, 2), (3, 9)):
        kv_cache.fill(slot, states(token, token), 2)
    kv_cache.resize(6, 300, front=2, back=1, kept=2)
    assert (kv_cache.slots, kv_cache.columns) == (6, 384)
    assert [kv_cache.taken(slot, 2)[1, 0, 0, 1, 0].item() for slot in range(6)] == [1, 2, 0, 0, 0, 9]
    kv_cache.resize(3, 8, front=2, back=1, kept=2)
    assert [kv_cache.taken(slot, 2)[1, 0, 0, 1, 0].item() for slot in range(3)] == [1, 2, 9]
