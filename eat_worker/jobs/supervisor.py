"""The worker processes that `eat run` starts: their environment, their logs, their deaths.

Knows processes and signals. Knows neither documents nor the queue.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import eat_worker
from eat_worker.errors import BrokerUnavailable, ConfigurationError, EatError, EngineBroken, EngineError
from eat_worker.jobs.shutdown import PARENT_VARIABLE
from eat_worker.private_files import make_private_folder, private
from eat_worker.settings import NAMES, Settings
from eat_worker.storage.leases import MAX_EXPIRIES

log = logging.getLogger(__name__)

# Restarts in a row without anything finished between. A document that kills needs MAX_EXPIRIES of them until it is
# given up, two that take turns need twice as many; a worker that dies while it loads must not be started for ever.
RESTARTS = 2 * MAX_EXPIRIES
COMMAND = (sys.executable, "-m", "eat_worker", "worker")


class Supervisor:
    """`size` workers of these settings while the block lasts. `check` starts those again that were killed or broke.

    `progress` is asked when a worker was killed: any value that changes when a document or a round gets finished.
    Leaving drains them with one SIGTERM each; `end_now` makes it two.
    """

    def __init__(
        self,
        settings: Settings,
        size: int,
        *,
        revive: Callable[[], None] = lambda: None,
        progress: Callable[[], object] = lambda: None,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        self._settings = settings
        self._size = size
        self._revive = revive
        self._progress = progress
        self._finished: object = None
        self._command = command
        self._workers: list[Worker] = []
        self._restarts = 0

    def __enter__(self) -> Self:
        folder = self._settings.state / "logs"
        make_private_folder(folder)
        began = time.strftime("%Y%m%d-%H%M%S")
        for number in range(1, self._size + 1):
            path = folder / f"worker-{began}-{os.getpid()}-{number}.log"
            self._workers.append(Worker(self._command, self._settings, path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.send(signal.SIGTERM)
        for worker in self._workers:
            worker.wait()

    def check(self) -> None:
        """Start killed workers again. Raises the error of one that gave up, EngineError when they keep dying."""
        for worker in self._workers:
            code = worker.exit_code()
            if code is None:
                continue
            if code > 0 and code != EngineBroken.exit_code:
                raise worker.error(code)
            self._count_restart(worker)
            log.warning("a worker ended (%s); starting it again, see %s", _how(code), worker.log_file)
            self._revive()
            worker.start()

    def end_now(self) -> None:
        """Have every worker release what it holds and end without finishing it."""
        for worker in self._workers:
            worker.send(signal.SIGTERM)
            worker.send(signal.SIGTERM)

    def _count_restart(self, worker: Worker) -> None:
        finished = self._progress()
        if finished != self._finished:
            self._finished, self._restarts = finished, 0
        if self._restarts >= RESTARTS:
            raise EngineError(
                f"the worker was killed {RESTARTS + 1} times in a row and finished nothing; "
                f"its last lines are in {worker.log_file}"
            )
        self._restarts += 1


class Worker:
    """One worker process and its log file."""

    def __init__(self, command: tuple[str, ...], settings: Settings, log_file: Path) -> None:
        self.log_file = log_file
        self._command = command
        self._settings = settings
        self.start()

    def start(self) -> None:
        """Start the process; its output is appended to the log file."""
        with open(self.log_file, "ab", opener=private) as output:  # Path.open takes no opener
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module, no shell
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(self._settings),
                cwd=self._settings.state,  # every path is absolute, and an eat.toml must not be read a second time
                start_new_session=True,  # Ctrl-C reaches it through `Shutdown`, once
            )

    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that killed it."""
        return self._process.poll()

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self) -> None:
        """Return when it has ended."""
        self._process.wait()

    def error(self, code: int) -> EatError:
        """The error with which it gave up, in its own words."""
        kind = {78: ConfigurationError, 69: BrokerUnavailable}.get(code, EngineError)
        return kind(f"the worker gave up: {self._last_line()}; see {self.log_file}")

    def _last_line(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip().removeprefix("eat: ") for line in reversed(lines) if line.strip()), "it said nothing")


def environment(settings: Settings) -> dict[str, str]:
    """The variables that give a child process exactly these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EAT_")}
    given = {
        f"EAT_{name.upper()}": _spelled(getattr(settings, name)) for name in NAMES if not name.endswith("url_file")
    }
    return {**kept, **_import_path(kept), **given, "OMP_WAIT_POLICY": "PASSIVE", PARENT_VARIABLE: str(os.getpid())}


def _spelled(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    return str(value)


def _import_path(environ: dict[str, str]) -> dict[str, str]:
    """PYTHONPATH for a checkout that is not installed, where the child would not find this package."""
    home = Path(eat_worker.__file__).resolve().parents[1]
    if home in {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}:
        return {}
    before = environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{home}{os.pathsep}{before}" if before else str(home)}


def _how(code: int) -> str:
    if code == EngineBroken.exit_code:
        return "its engine broke or was stuck"
    return signal.Signals(-code).name if code < 0 else "another process ended it"
