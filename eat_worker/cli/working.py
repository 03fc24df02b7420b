"""`eat run`, `submit` and `worker`: a corpus into the queue, and work on it.

Run again, each goes on where it stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import (
    CorpusOptions,
    corpus_options,
    engine_options,
    method_options,
    priority,
    run_name,
    variable,
    worker_options,
)
from eat_worker.cli.outcome import PARTLY
from eat_worker.cli.reading_notes import tell_reading
from eat_worker.errors import NotFound

if TYPE_CHECKING:
    from eat_worker.runs.progress import RunProgress
    from eat_worker.runs.reporting import Report
    from eat_worker.runs.submitting import Submitted


@eat_command("submit", short_help="Put a corpus into the queue.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@corpus_options
@run_name
@priority
@method_options
@engine_options
def submit_command(
    call: Call, file: Path, *, run: str | None, priority: int | None, **corpus: Unpack[CorpusOptions]
) -> None:
    """Store the documents of FILE (any format, - is stdin) under a run; workers take them from there.

    Records need a text; id, lang, dataset, entities and meta are optional. Submitting the same file with the same
    settings again adds nothing. Refused records go to a quarantine file; then the exit code is 3. With --json: {"run",
    "new", "already", "left", "rejected": {code: n}, "quarantine", "dropped": {tag: n}, "repaired", "notes": {what: n}}.
    """
    done = _submitted(call, file, run=run, priority=priority, **corpus)
    if call.as_json:
        call.emit(done.to_json())
    elif call.quiet:
        click.echo(done.run)
    else:
        click.echo(f"run {done.run}: {done.new} new, {done.already} already there, {done.left} still to do")
    tell_reading(call, done)
    call.tell("next: eat worker" if done.new else "see: eat status" if done.left else "nothing is left to do")
    if done.rejected:
        click.get_current_context().exit(PARTLY)


@eat_command("worker", short_help="Work on the queue until stopped.")
@variable("--name", metavar="NAME", help="Name of this worker in the database; default: host and process.")
@engine_options
@worker_options
def worker_command(call: Call, name: str | None) -> int:
    """Load the model and work on its documents until SIGTERM or Ctrl-C; the current rounds are finished first.

    Any number of workers may share a broker and a database; each takes only documents of its own model.
    """
    from eat_worker.runs.working import work

    return work(call.settings, name=name)


@eat_command("run", short_help="Annotate a corpus from start to end, then report.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@corpus_options
@run_name
@priority
@method_options
@engine_options
@worker_options
def run_command(
    call: Call, file: Path, *, run: str | None, priority: int | None, **corpus: Unpack[CorpusOptions]
) -> None:
    """Submit FILE, work on it with a worker of its own until nothing is left, and show the results.

    After any stop the same command continues: no round that is stored is asked again. With --json: {"run",
    "submitted", "documents": {status: n}, "failures": {code: n}, "report", "written"}.
    """
    log_file = call.settings.state / "logs" / "eat.log"
    call.log_to(log_file)
    done = _submitted(call, file, run=run, priority=priority, **corpus)
    tell_reading(call, done)
    call.tell(f"run {done.run}: {done.new} new, {done.already} already there")
    finished = _finish(call, done.run)
    documents, failures = (dict(finished.documents), dict(finished.failures)) if finished else ({}, {})
    report = _report(call, done.run) if finished else None
    written = _written(call, done, log_file)
    if call.as_json:
        call.emit(
            {
                "run": done.run,
                "submitted": done.to_json(),
                "documents": documents,
                "failures": failures,
                "report": report.to_json() if report else None,
                "written": written,
            }
        )
    elif call.quiet:
        click.echo(done.run)
    else:
        _show(call, report, written)
    failed = documents.get("failed", 0)
    if failed:
        reasons = ", ".join(f"{count} {code}" for code, count in failures.items())
        call.tell(f"{failed} documents failed ({reasons}); eat show DOCUMENT says why")
    if failed or done.rejected:
        click.get_current_context().exit(PARTLY)


def _finish(call: Call, run: str) -> RunProgress | None:
    """Work until every document of the run has ended, under a progress bar; None when no record made a run."""
    from eat_worker.cli.progress import Progress
    from eat_worker.runs.progress import status
    from eat_worker.runs.working import ahead, finish

    before = next((one for one in status(call.settings) if one.run == run), None)
    if before is None:
        call.tell("no run was made: every record was refused")
        return None
    if before.ended == before.total:
        call.tell("nothing is left to do")
        return before
    if before.state == "paused":
        call.tell(f"run {run} is paused; to continue: eat resume {run}")
        return before
    first = ahead(call.settings, run)
    if first.documents:
        call.tell(f"{first.documents} documents of other runs come first: {', '.join(first.runs)}")
    with Progress("annotating", silent=call.quiet or call.as_json) as progress:
        progress.update(before.ended, before.total + first.documents, "(loading the model)")
        return finish(call.settings, run, on_progress=progress.update)


def _report(call: Call, run: str) -> Report | None:
    from eat_worker.runs.reporting import report

    try:
        return report(call.settings, run=run)
    except NotFound:  # every document failed or was cancelled
        return None


def _written(call: Call, done: Submitted, log_file: Path) -> dict[str, str]:
    database = call.settings.shown("database_url") or str(call.settings.state / "eat.db")
    written = {"database": database, "logs": str(log_file.parent)}
    return written | ({"quarantine": done.quarantine} if done.quarantine else {})


def _show(call: Call, report: Report | None, written: dict[str, str]) -> None:
    from eat_worker.cli.figures import print_report

    if report is None:
        call.tell("no document could be scored")
    else:
        print_report(report, call.console())
    for what, where in written.items():
        call.tell(f"{what}: {where}")


def _submitted(
    call: Call, file: Path, *, run: str | None, priority: int | None, **corpus: Unpack[CorpusOptions]
) -> Submitted:
    """Submit the file, showing how many records were read."""
    from eat_worker.cli.progress import Progress
    from eat_worker.runs.submitting import submit

    with Progress("reading", silent=call.quiet or call.as_json, unit="records") as progress:
        return submit(call.settings, file, name=run, priority=priority, on_progress=progress.update, **corpus)
