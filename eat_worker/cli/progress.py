"""Progress on stderr: a bar on a terminal, a plain line every 30 seconds elsewhere, nothing under -q or --json."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, ProgressColumn, TextColumn
from rich.progress import Progress as Bar

from eat_worker.cli.terminal import duration

EVERY = 30.0
# The rate is taken over this many seconds: what matters is how fast it goes now, not since the model was loaded.
WINDOW = 60.0


class Rate:
    """Units per second over the last WINDOW seconds. Work found done at the start does not count as speed."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        """`done` units are complete at the instant `now`, in seconds."""
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW:
            self._seen.popleft()

    def value(self) -> float | None:
        """Units per second; None until there has been any progress."""
        if len(self._seen) < 2:
            return None
        (begin, before), (end, after) = self._seen[0], self._seen[-1]
        return (after - before) / (end - begin) if after > before and end > begin else None


class Progress:
    """Shows done/total, the current rate and the time left. Use as a context manager and call `update`."""

    def __init__(self, what: str, *, silent: bool, unit: str = "documents", stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._what, self._unit, self._silent = what, unit, silent
        self._rate = Rate()
        self._steps: set[str] = set()
        self._last = self._begun = time.monotonic()
        self._bar = self._task = None
        if self._stream.isatty() and not silent:
            self._bar = Bar(*self._columns(), console=Console(file=self._stream), transient=True)
            self._task = self._bar.add_task(what, total=None, speed="")

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, done: int, total: int | None = None, detail: str = "") -> None:
        """`done` of `total` units are complete; `total` None: unknown. `detail` says what is going on."""
        if self._silent:
            return
        now = time.monotonic()
        self._rate.add(now, done)
        if self._bar and self._task is not None:
            what = f"{self._what} {detail}".strip()
            self._bar.update(self._task, completed=done, total=total, description=what, speed=self._speed(done, total))
        elif now - self._last >= EVERY:
            self._last = now
            print(self._line(done, total, detail), file=self._stream, flush=True)

    def say(self, message: str) -> None:
        """A line above the bar."""
        if self._silent:
            return
        if self._bar:
            self._bar.console.print(message, markup=False, highlight=False)
        else:
            print(message, file=self._stream, flush=True)

    def step(self, done: int, total: int, what: str) -> None:
        """As `update`, and say each new `what` once; `total` 0: unknown."""
        if what not in self._steps:
            self._steps.add(what)
            self.say(what)
        self.update(done, total or None, what)

    def _columns(self) -> Iterator[ProgressColumn]:
        yield TextColumn("{task.description}", markup=False)
        yield BarColumn(bar_width=30)
        yield DownloadColumn() if self._unit == "bytes" else MofNCompleteColumn()
        yield TextColumn("{task.fields[speed]}", markup=False)

    def _line(self, done: int, total: int | None, detail: str) -> str:
        of = "" if total is None else f"/{_amount(total, self._unit)}"
        head = f"{self._what} {detail}".strip()
        return f"{head}: {_amount(done, self._unit)}{of} {self._unit} {self._speed(done, total)}".rstrip()

    def _speed(self, done: int, total: int | None) -> str:
        rate = self._rate.value()
        if rate is None:
            return ""
        left = "" if total is None else f", {duration(max(0, total - done) / rate)} left"
        return f"{_amount(rate, self._unit)}/s{left}"


def _amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 1e6:.1f} M"
    return str(value) if isinstance(value, int) else f"{value:.2f}" if value < 100 else f"{value:,.0f}"
