"""The pace of an engine that answers in batches."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from eat_worker.engines import script_batches
from eat_worker.engines.script_batches import Batches
from eat_worker.engines.scripted import Scripted
from eat_worker.errors import ConfigurationError
from eat_worker.method.document import Stage
from eat_worker.method.rounds import Limits, Request


def test_a_batch_takes_who_waits_and_lasts_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    others_wait = threading.Event()

    def pause(seconds: float) -> None:
        pauses.append(round(seconds, 3))
        others_wait.wait(5)

    # The module's own name and not time.sleep itself: threads that other tests left behind sleep too.
    monkeypatch.setattr(script_batches, "time", SimpleNamespace(sleep=pause))
    batches = Batches(3, 0.2, 0.01)
    threads = [threading.Thread(target=batches.take_part) for _ in range(6)]
    threads[0].start()
    while not pauses:
        threading.Event().wait(0.001)
    for thread in threads[1:]:
        thread.start()
    while len(batches._waiting) < 5:
        threading.Event().wait(0.001)
    others_wait.set()
    for thread in threads:
        thread.join(5)
    assert pauses == [0.21, 0.23, 0.22]


def test_a_script_sets_the_pace(tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text('{"batch": 2, "seconds": 0.1, "seconds_per_chat": 0.05}\n')
    engine = Scripted(script, slots=1)
    began = time.monotonic()
    assert engine.ask(Request("s", Stage.FORWARD, (), {"text": "Seoul"}, Limits(10))).text == "Seoul"
    engine.close()
    assert time.monotonic() - began >= 0.15


@pytest.mark.parametrize("line", ['{"batch": 0}', '{"batch": "x"}', '{"batch": true}', '{"batch": 2, "pace": 1}'])
def test_a_wrong_pace_is_named(tmp_path: Path, line: str) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text(line + "\n")
    with pytest.raises(ConfigurationError, match=r"script\.jsonl:1"):
        Scripted(script, slots=1)
