"""Which chat gets which slot. Time is a number here, moved by hand."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from eat_worker.engines import slots as slots_module
from eat_worker.engines.slots import GRACE, Slot, Slots, shared_length


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def two(clock: Clock) -> Slots:
    return Slots(2, clock)


@pytest.fixture
def waiters() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def ask(slots: Slots, session: str, *ids: int, last: bool = False, adapter: bool = False) -> int:
    """One round of a session whose prompt is `ids`; the slot it was answered in."""
    with slots.borrow(session, ids, adapter, last=last) as slot:
        slot.held, slot.adapter = list(ids), adapter
        return slot.index


@contextmanager
def both_busy(slots: Slots) -> Iterator[None]:
    with slots.borrow("first", [1], False, last=True), slots.borrow("second", [2], False, last=True):
        yield


def still_waits(future: Future[int]) -> bool:
    time.sleep(3 * GRACE / 4)  # long enough to have looked twice
    return not future.done()


@pytest.mark.parametrize(
    ("one", "other", "length"),
    [([], [], 0), ([1, 2], [], 0), ([1, 2, 3], [1, 2, 4], 2), ([1, 2], [1, 2, 3], 2), ([9, 2], [1, 2], 0)],
)
def test_the_common_beginning(one: list[int], other: list[int], length: int) -> None:
    assert shared_length(one, other) == length


def test_a_slot_holds_nothing_for_the_other_adapter_state() -> None:
    slot = Slot(0, held=[1, 2, 3], adapter=True)
    assert slot.shares([1, 2, 9], True) == 2
    assert slot.shares([1, 2, 9], False) == 0


def test_a_session_keeps_its_slot(two: Slots) -> None:
    first, second = ask(two, "a", 1, 2), ask(two, "b", 1, 2)
    assert first != second
    # The other slot holds more of the prompt, and is the other's.
    assert [ask(two, "a", 1, 2, 3), ask(two, "b", 7), ask(two, "a", 7)] == [first, second, first]


def test_last_frees_the_slot_at_once(two: Slots) -> None:
    kept, freed = ask(two, "a", 1), ask(two, "b", 2, last=True)
    assert ask(two, "c", 1) == freed
    assert ask(two, "a", 1) == kept


def test_a_failed_round_gives_its_slot_back(two: Slots) -> None:
    with pytest.raises(RuntimeError, match="no answer"), two.borrow("a", [1], False, last=True):
        raise RuntimeError("no answer")
    assert two.busy() == 0
    assert {ask(two, "b", 1), ask(two, "c", 1)} == {0, 1}


def test_a_new_chat_takes_the_free_slot_that_holds_most_of_it(two: Slots) -> None:
    short, long = ask(two, "a", 1, 2), ask(two, "b", 1, 2, 3)
    ask(two, "a", 1, 2, last=True)
    ask(two, "b", 1, 2, 3, last=True)
    assert ask(two, "c", 1, 2, 3, 4, last=True) == long
    assert ask(two, "d", 1, 2, 9, last=True) in {short, long}
    assert ask(two, "e", 1, 2, 3, last=True) == long


def test_where_nothing_is_shared_the_slot_longest_unused_is_taken(two: Slots, clock: Clock) -> None:
    first = ask(two, "a", 1)
    clock.now += 1
    second = ask(two, "b", 2)
    ask(two, "b", 2, last=True)
    clock.now += 1
    ask(two, "a", 1, last=True)
    assert first != second
    assert ask(two, "c", 3, last=True) == second


def test_the_adapter_state_separates(two: Slots) -> None:
    plain, tuned = ask(two, "a", 1, 2, 3), ask(two, "b", 1, 2, 3, adapter=True)
    ask(two, "a", 1, 2, 3, last=True)
    ask(two, "b", 1, 2, 3, last=True, adapter=True)
    assert ask(two, "c", 1, 2, 3, last=True, adapter=True) == tuned
    assert ask(two, "d", 1, 2, 3, last=True) == plain


def test_a_reserved_slot_is_taken_only_after_its_grace(clock: Clock, waiters: ThreadPoolExecutor) -> None:
    one = Slots(1, clock)
    ask(one, "a", 1)
    clock.now += GRACE
    waiting = waiters.submit(ask, one, "b", 1, last=True)
    assert still_waits(waiting)
    clock.now += 0.01
    assert waiting.result(timeout=10) == 0
    assert ask(one, "a", 1) == 0  # the first chat goes on in any slot that is free


def test_a_reserved_slot_goes_to_its_own_chat_first(clock: Clock, waiters: ThreadPoolExecutor) -> None:
    one = Slots(1, clock)
    ask(one, "a", 1)
    waiting = waiters.submit(ask, one, "b", 1, last=True)
    assert ask(one, "a", 1) == 0
    assert still_waits(waiting)
    ask(one, "a", 1, last=True)
    assert waiting.result(timeout=10) == 0


def test_a_waiting_chat_wakes_when_a_slot_is_freed(
    two: Slots, waiters: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots_module, "GRACE", 1000.0)  # nobody looks again by himself
    with both_busy(two):
        waiting = waiters.submit(ask, two, "c", 1)
        time.sleep(0.05)
        assert two.busy() == 2
        assert not waiting.done()
    assert waiting.result(timeout=10) in {0, 1}


def test_two_rounds_of_one_session_are_never_at_once(two: Slots, waiters: ThreadPoolExecutor) -> None:
    with two.borrow("a", [1], False, last=False) as slot:
        waiting = waiters.submit(ask, two, "a", 1)
        assert still_waits(waiting)
    assert waiting.result(timeout=10) == slot.index


def test_sixteen_chats_over_two_slots_are_all_served(waiters: ThreadPoolExecutor) -> None:
    slots = Slots(2)
    inside: Counter[int] = Counter()
    most: list[int] = []
    counting = threading.Lock()

    def chat(number: int) -> list[int]:
        used = []
        for round_ in range(5):
            # Half of the chats never say that they ask nothing more.
            last = round_ == 4 and number % 2 == 0
            with slots.borrow(f"chat-{number}", [number, *range(round_)], False, last=last) as slot:
                with counting:
                    inside[slot.index] += 1
                    most.append(max(inside.values()))
                slot.held = [number, *range(round_)]
                used.append(slot.index)
                time.sleep(0.001)
                with counting:
                    inside[slot.index] -= 1
        return used

    chats = list(waiters.map(chat, range(16), timeout=60))
    assert [len(used) for used in chats] == [5] * 16
    assert max(most) == 1
    assert slots.busy() == 0
    # Whoever has a slot keeps it over the moments between two rounds.
    assert sum(len(set(used)) == 1 for used in chats) >= 8
