"""`eat status --watch` ends when nobody can see it any more: reader gone, terminal gone, Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from eat_worker.settings import Settings

WATCH = """
import sys
import eat_worker.cli.status as status
from eat_worker.cli import main
status.EVERY = status.REDRAW = 0.05
sys.exit(main(["status", "--watch", *sys.argv[1:]]))
"""


class Watcher:
    """A process that watches a run which nobody works on, on a pipe or on a terminal of its own."""

    def __init__(self, folder: Path, *words: str, terminal: bool = False) -> None:
        self._reader, writer = pty.openpty() if terminal else os.pipe()
        known = {name: value for name, value in os.environ.items() if not name.startswith("EAT_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", WATCH, *words],
            cwd=folder,
            env={**known, "TERM": "xterm"},
            stdin=writer if terminal else subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
        )
        os.close(writer)
        assert b"demo" in os.read(self._reader, 4096) + os.read(self._reader, 4096) or terminal

    def leave(self) -> tuple[int, bytes]:
        """Close the reader's end; exit code and stderr."""
        os.close(self._reader)
        self._reader = -1
        return self.ended()

    def ended(self) -> tuple[int, bytes]:
        _, told = self.process.communicate(timeout=20)
        return self.process.returncode, told

    def clear(self) -> None:
        if self._reader >= 0:
            os.close(self._reader)
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def watchers(finished: Settings, tmp_path: Path) -> Iterator[list[Watcher]]:
    started: list[Watcher] = []
    yield started
    for watcher in started:
        watcher.clear()


def test_a_reader_that_has_seen_enough_ends_it(watchers: list[Watcher], tmp_path: Path) -> None:
    watchers.append(Watcher(tmp_path))
    assert watchers[0].leave() == (0, b"")


def test_a_terminal_that_goes_away_without_a_signal_ends_it(watchers: list[Watcher], tmp_path: Path) -> None:
    watchers.append(Watcher(tmp_path, terminal=True))
    code, told = watchers[0].leave()
    assert code == 1
    assert b"Traceback" not in told


@pytest.mark.parametrize("terminal", [True, False])
def test_ctrl_c_ends_it_with_130(watchers: list[Watcher], tmp_path: Path, terminal: bool) -> None:
    watchers.append(Watcher(tmp_path, terminal=terminal))
    watchers[0].process.send_signal(signal.SIGINT)
    code, told = watchers[0].ended()
    assert (code, told.strip()) == (130, b"eat: stopped")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_watch_ends_with_124_when_its_time_is_over(finished: Settings, eat: Callable[..., Any], form: Any) -> None:
    ended = eat("status", "--watch", "--timeout", "0.01", *form)
    assert ended.code == 124
    assert len(ended.out.splitlines()) == 1
    assert ended.err == ("" if form else "not finished after 0.01 seconds\n")
    assert eat("status", "--timeout", "1").code == 2


def test_a_watch_of_runs_that_are_finished_takes_no_time(finished: Settings, eat: Callable[..., Any]) -> None:
    assert eat("cancel", "demo").code == 0
    assert eat("status", "--watch", "--timeout", "600").code == 0


def test_a_terminal_is_left_with_124_too(watchers: list[Watcher], tmp_path: Path) -> None:
    watchers.append(Watcher(tmp_path, "--timeout", "0.2", terminal=True))
    assert watchers[0].ended() == (124, b"not finished after 0.2 seconds\n")
