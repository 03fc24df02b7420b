"""`eat status`: how far the runs are, once or again and again."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.outcome import TIMED_OUT

if TYPE_CHECKING:
    from rich.table import Table

    from eat_worker.runs.progress import RunProgress

REDRAW = 2.0  # seconds between two looks on a terminal
EVERY = 30.0  # ... and elsewhere
COLUMNS = {
    "run": "left",
    "state": "left",
    "done": "right",
    "failed": "right",
    "running": "right",
    "queued": "right",
    "other": "right",
    "docs/s": "right",
    "left": "right",
    "failures": "left",
}

WORKER_COLUMNS = {
    "worker": "left",
    "state": "left",
    "host": "left",
    "process": "right",
    "fingerprints": "left",
    "version": "left",
    "last heard": "right",
}


@eat_command("status", short_help="Show how far the runs are.")
@click.argument("run", required=False)
@click.option("--watch", is_flag=True, help="Look again until every run shown is finished.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="S", help="With --watch: end with 124 after so many seconds."
)
@click.option("--workers", is_flag=True, help="List the workers instead of the runs.")
def status_command(call: Call, run: str | None, *, watch: bool, timeout: float | None, workers: bool) -> None:
    """Show documents by status for every run, or for RUN.

    With --json: {"runs": [{"run", "state", "documents": {"queued": n, "running": n, "done": n, "skipped": n,
    "failed": n, "cancelled": n}, "failures": {code: n}, "documents_per_second", "seconds_left", ...}], "backlog":
    {"queued", "running", "dead_letters", "oldest_age_seconds", "seconds"}}; the backlog is that of all open runs, in
    documents and in estimated seconds of the engine. With --watch one such document per line. With --workers:
    {"workers": [{"name", "state", "host", "process", "fingerprints", "queues", "version", "started_at",
    "last_heartbeat", "ended_at"}]}.
    """
    from eat_worker.runs.progress import status

    if timeout is not None and not watch:
        raise click.UsageError("--timeout goes with --watch")
    if workers:
        if run or watch:
            raise click.UsageError("--workers lists the workers of all runs, once; leave RUN and --watch out")
        _print_workers(call)
    elif watch:
        until = math.inf if timeout is None else time.monotonic() + timeout
        if not _watch(call, run, until):
            call.tell(f"not finished after {timeout:g} seconds")
            click.get_current_context().exit(TIMED_OUT)
    else:
        _print(call, status(call.settings, run))


def _print(call: Call, runs: Sequence[RunProgress]) -> None:
    if call.as_json:
        call.emit(_document(call, runs))
    elif call.quiet:
        click.echo("".join(f"{one.run}\n" for one in runs), nl=False)
    elif not runs:
        call.tell("no runs yet; start one: eat run FILE --lang LANG")
    else:
        output = call.console()
        output.print(_table(runs, terminal=output.is_terminal))


def _print_workers(call: Call) -> None:
    from eat_worker.cli.terminal import duration, table
    from eat_worker.runs.workers import list_workers

    found = list_workers(call.settings)
    if call.as_json:
        call.emit({"workers": [one.to_json() for one in found]})
    elif call.quiet:
        click.echo("".join(f"{one.record.spec.name}\n" for one in found), nl=False)
    elif not found:
        call.tell("no worker was heard of within a day; start one: eat worker")
    else:
        output = call.console()
        rows = [
            [
                spec.name,
                one.state,
                spec.process.host,
                str(spec.process.number),
                " ".join(spec.fingerprints),
                spec.version,
                f"{duration(one.record.silent_seconds)} ago",
            ]
            for one in found
            for spec in (one.record.spec,)
        ]
        output.print(table(WORKER_COLUMNS, rows, terminal=output.is_terminal))


def _document(call: Call, runs: Sequence[RunProgress]) -> dict[str, Any]:
    from eat_worker.runs.progress import backlog

    return {"runs": [one.to_json() for one in runs], "backlog": backlog(call.settings)}


def _table(runs: Sequence[RunProgress], *, terminal: bool) -> Table:
    from eat_worker.cli.terminal import duration, number, table

    rows = [
        [
            one.run,
            one.state,
            f"{one.documents['done']}/{one.total}",
            *(str(one.documents[name]) for name in ("failed", "running", "queued")),
            str(one.documents["skipped"] + one.documents["cancelled"]),
            number(one.documents_per_second, 2),
            duration(one.seconds_left) if one.seconds_left else "",
            ", ".join(f"{count} {code}" for code, count in one.failures.items()),
        ]
        for one in runs
    ]
    return table(COLUMNS, rows, terminal=terminal)


def _watch(call: Call, run: str | None, until: float) -> bool:
    """Whether all was seen to its end before the instant `until` of the monotonic clock."""
    from eat_worker.runs.progress import status

    if sys.stdout.isatty() and not call.as_json:
        return _redraw(call, run, until)
    while True:
        runs = status(call.settings, run)
        click.echo(json.dumps(_document(call, runs)) if call.as_json else _lines(runs))
        sys.stdout.flush()
        if _finished(runs):
            return True
        if not _slept(EVERY, until):
            return False


def _redraw(call: Call, run: str | None, until: float) -> bool:
    from rich.live import Live

    from eat_worker.runs.progress import status

    runs = status(call.settings, run)
    with Live(_table(runs, terminal=True), console=call.console(), auto_refresh=False) as live:
        while not _finished(runs) and sys.stdout.isatty():  # a terminal that is gone is none; not all get a SIGHUP
            if not _slept(REDRAW, until):
                return False
            runs = status(call.settings, run)
            live.update(_table(runs, terminal=True), refresh=True)
    return True


def _slept(seconds: float, until: float) -> bool:
    """Wait so long, or up to `until`; False when that has come."""
    left = until - time.monotonic()
    time.sleep(max(0.0, min(seconds, left)))
    return left > seconds


def _lines(runs: Sequence[RunProgress]) -> str:
    return "\n".join(f"{one.run}: {one.ended}/{one.total} documents, {one.documents['failed']} failed" for one in runs)


def _finished(runs: Sequence[RunProgress]) -> bool:
    return all(one.ended == one.total or one.state in ("cancelled", "complete") for one in runs)
