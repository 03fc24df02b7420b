"""A program: `eat worker`, in this very process, that can be made to die at a named point or to run out of disk.

    python wrapped_worker.py [--asked FILE] [--struck FILE --crash POINT --hit N] [--pages FILE] [OPTION ...]

OPTION: those of `eat worker`.

The product knows nothing of this: functions are wrapped by name before its command line is called. `--asked` gets one
byte per request to the engine, `--struck` the name of the point that the process died at (no death while a file of
that name with `.off` beside it exists). `--pages` names a file with the greatest number of pages that SQLite may use.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import itertools
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

QUEUE = "eat_worker.storage.queue:Queue"
RESULTS = "eat_worker.storage.results:Results"
LEASES = "eat_worker.storage.leases"
PUBLISHER = "eat_worker.jobs.broker.messages:HintPublisher"
# Each function has two points, before and after. Those in the second group lie inside a transaction that is not
# committed yet, those of the third are reached only when the database is away or the worker is asked to stop.
FUNCTIONS = {
    "claim": f"{QUEUE}.claim",
    "add_rounds": f"{QUEUE}.add_rounds",
    "commit_stage": f"{QUEUE}.commit_stage",
    "heartbeat": f"{QUEUE}.heartbeat",
    "take_hints": f"{QUEUE}.take_hints",
    "publish": f"{PUBLISHER}.publish",
    "send_task": "celery:Celery.send_task",
    "ack": "kombu.message:Message.ack",
    "take": "eat_worker.jobs.document.advance:Advancer.take",
    "ask": "eat_worker.jobs.monitor.engine:MeasuredEngine.ask",
    "record": "eat_worker.jobs.document.round_log:RoundLog.record",
    "run_stage": "eat_worker.jobs.document.stages:run_stage",
    "in_claim": "eat_worker.storage.claims:Claims.claim",
    "in_add_rounds": f"{RESULTS}.put_rounds",
    "in_result": f"{RESULTS}.put_result",
    "in_end_attempt": f"{LEASES}:end_attempt",
    "in_complete_run": f"{LEASES}:complete_run",
    "in_take_back": f"{LEASES}:reap",
    "release": f"{QUEUE}.release",
    "spool_keep": "eat_worker.jobs.document.spool:Spool.keep",
    "spool_restore": "eat_worker.jobs.document.spool:Spool.restore",
}
RARE = ("release", "spool_keep", "spool_restore")
POINTS = tuple(f"{name}:{when}" for name in FUNCTIONS for when in ("before", "after"))
COMMON_POINTS = tuple(point for point in POINTS if point.partition(":")[0] not in RARE)


def main() -> int:
    """Wrap what the options name, then be `eat worker`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--asked")
    parser.add_argument("--struck")
    parser.add_argument("--crash", choices=POINTS)
    parser.add_argument("--hit", type=int, default=1)
    parser.add_argument("--pages")
    chosen, words = parser.parse_known_args()
    die_with_parent()
    if chosen.asked:
        count_requests(chosen.asked)
    if chosen.crash:
        arm(chosen.crash, chosen.hit, chosen.struck)
    if chosen.pages:
        limit_pages(chosen.pages)
    sys.argv = ["eat", "worker", *words]
    from eat_worker.cli import main as eat

    return eat()


def die_with_parent() -> None:
    """A campaign that is killed leaves no worker behind (Linux only; elsewhere the campaign ends them itself)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def wrap(path: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put `around` round a function or method; `path` is module:name or module:class.name."""
    module, _, name = path.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, last = name.split(".")
    for part in classes:
        owner = getattr(owner, part)
    setattr(owner, last, around(getattr(owner, last)))


def arm(point: str, hit: int, struck: str) -> None:
    """kill -9 of this process when the point is passed for the `hit`-th time."""
    name, _, when = point.partition(":")
    passed = itertools.count(1)

    def strike() -> None:
        if next(passed) < hit or os.path.exists(f"{struck}.off"):  # noqa: PTH110  # as little as possible between
            return
        append(struck, f"{point}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            if when == "before":
                strike()
            result = function(*arguments, **keywords)
            if when == "after":
                strike()
            return result

        return call

    wrap(FUNCTIONS[name], around)


def count_requests(file: str) -> None:
    """One byte per request to the engine, written before it is answered: a kill loses none of them."""

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            append(file, b".")
            return function(*arguments, **keywords)

        return call

    wrap("eat_worker.jobs.monitor.engine:MeasuredEngine.ask", around)


def limit_pages(file: str) -> None:
    """No SQLite transaction of this process may make the database larger than the pages that stand in the file."""

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(self: Any, connection: Any, begin: str) -> Any:
            with open(file, encoding="ascii") as target:  # noqa: PTH123
                connection.execute(f"PRAGMA max_page_count = {int(target.read())}")
            return function(self, connection, begin)

        return call

    wrap("eat_worker.storage.engine:Database._begin", around)


def append(file: str, what: bytes) -> None:
    """Add bytes to a file in one write, so that several processes may share it."""
    target = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(target, what)
    finally:
        os.close(target)


if __name__ == "__main__":
    sys.path.pop(0)  # the modules beside this file are none of the worker's
    sys.exit(main())
