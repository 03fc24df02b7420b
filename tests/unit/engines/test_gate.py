"""An engine is closed when everybody has left it, and by nobody twice."""

from __future__ import annotations

import threading

import pytest

from eat_worker.engines.gate import Gate
from eat_worker.errors import EngineUnavailable


def test_a_closed_gate_lets_nobody_in() -> None:
    gate = Gate()
    with gate.passing():
        pass
    assert gate.close()
    with pytest.raises(EngineUnavailable, match="the engine was closed"), gate.passing():
        pass
    assert not gate.close()


def test_closing_waits_until_all_are_out() -> None:
    gate, closed = Gate(), threading.Event()

    def close() -> None:
        gate.close()
        closed.set()

    closing = threading.Thread(target=close)
    with gate.passing(), gate.passing():
        closing.start()
        assert not closed.wait(0.1)
    assert closed.wait(5)
    closing.join()


def test_who_leaves_with_an_error_has_left() -> None:
    gate = Gate()
    with pytest.raises(ValueError, match="no"), gate.passing():
        raise ValueError("no")
    assert gate.close()
