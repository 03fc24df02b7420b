"""`eat status`: how far the runs are, once or again and again."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command

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
@click.option("--workers", is_flag=True, help="List the workers instead of the runs.")
def command(call: Call, run: str | None, watch: bool, workers: bool) -> None:
    """Show documents by status for every run, or for RUN.

    With --json: {"runs": [{"run", "state", "documents": {"queued": n, "running": n, "done": n, "skipped": n,
    "failed": n, "cancelled": n}, "failures": {code: n}, "documents_per_second", "seconds_left", ...}], "backlog":
    {"queued", "running", "dead_letters", "oldest_age_seconds", "seconds"}}; the backlog is that of all open runs, in
    documents and in estimated seconds of the engine. With --watch one such document per line. With --workers:
    {"workers": [{"name", "state", "host", "process", "fingerprints", "queues", "version", "started_at",
    "last_heartbeat", "ended_at"}]}.
    """
    from eat_worker.runs.progress import status

    if workers:
        if run or watch:
            raise click.UsageError("--workers lists the workers of all runs, once; leave RUN and --watch out")
        _print_workers(call)
    elif watch:
        _watch(call, run)
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


def _watch(call: Call, run: str | None) -> None:
    from eat_worker.runs.progress import status

    if sys.stdout.isatty() and not call.as_json:
        _redraw(call, run)
        return
    while True:
        runs = status(call.settings, run)
        click.echo(json.dumps(_document(call, runs)) if call.as_json else _lines(runs))
        sys.stdout.flush()
        if _finished(runs):
            return
        time.sleep(EVERY)


def _redraw(call: Call, run: str | None) -> None:
    from rich.live import Live

    from eat_worker.runs.progress import status

    runs = status(call.settings, run)
    with Live(_table(runs, terminal=True), console=call.console(), auto_refresh=False) as live:
        while not _finished(runs) and sys.stdout.isatty():  # a terminal that is gone is none; not all get a SIGHUP
            time.sleep(REDRAW)
            runs = status(call.settings, run)
            live.update(_table(runs, terminal=True), refresh=True)


def _lines(runs: Sequence[RunProgress]) -> str:
    return "\n".join(f"{one.run}: {one.ended}/{one.total} documents, {one.documents['failed']} failed" for one in runs)


def _finished(runs: Sequence[RunProgress]) -> bool:
    return all(one.ended == one.total or one.state in ("cancelled", "complete") for one in runs)
