"""`eat dead` and `eat retry`: documents that failed for good or ended in doubt, and their next chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import variable
from eat_worker.method.document import Outcome

if TYPE_CHECKING:
    from eat_worker.runs.dead_letters import Dead

COLUMNS = {
    "document": "right",
    "id": "left",
    "run": "left",
    "stage": "left",
    "code": "left",
    "attempts": "right",
    "failed at": "left",
    "message": "left",
}
LONGEST_MESSAGE = 100  # code points in the table; `eat dead show` has all

dead_command = click.Group("dead", help="List, show, export and retry documents that failed for good.")
_run = variable("--run", metavar="NAME", help="Only this run.")


@eat_command("list", short_help="List the documents that failed for good.")
@_run
def list_command(call: Call, run: str | None) -> None:
    """List the documents that failed for good: where, why, after how many attempts and when.

    With --json: {"documents": [{"document", "id", "run", "stage", "code", "message", "attempts", "failed_at"}]}.
    """
    from eat_worker.runs.dead_letters import list_dead, to_json

    if call.quiet and not call.as_json:
        for letter in list_dead(call.settings, run):
            click.echo(str(letter.document_id))
        return
    rows = [to_json(letter) for letter in list_dead(call.settings, run)]
    if call.as_json:
        call.emit({"documents": rows})
    elif rows:
        _print(call, rows)
    else:
        call.tell("no document has failed")


def _print(call: Call, rows: list[dict[str, object]]) -> None:
    from eat_worker.cli.terminal import table

    output = call.console()
    cells = [
        [
            *(str(row[name] or "") for name in ("document", "id", "run", "stage", "code", "attempts", "failed_at")),
            str(row["message"])[:LONGEST_MESSAGE],
        ]
        for row in rows
    ]
    output.print(table(COLUMNS, cells, terminal=output.is_terminal))


@eat_command("show", short_help="Show why a document failed, attempt by attempt.")
@click.argument("document")
def show_command(call: Call, document: str) -> None:
    """Show why DOCUMENT (its number or id, as in `eat show`) failed, attempt by attempt.

    With --json: as in `eat dead list`, and {"text", "history": [{"stage", "attempt", "worker", "started_at",
    "ended_at", "outcome", "error"}]}.
    """
    from dataclasses import asdict

    from eat_worker.runs.dead_letters import show_dead, to_json

    dead = show_dead(call.settings, document)
    if call.as_json:
        history = [asdict(attempt) for attempt in dead.history]
        call.emit({**to_json(dead.letter), "text": dead.letter.document.text, "history": history})
    elif call.quiet:
        click.echo(str(dead.letter.document_id))
    else:
        _show(call, dead)


def _show(call: Call, dead: Dead) -> None:
    from rich.text import Text

    from eat_worker.cli.dossier import attempts_table
    from eat_worker.cli.terminal import placed

    letter, output = dead.letter, call.console()
    known = {
        "document": f"{letter.document_id} of run {letter.run}",
        "id": letter.document.ext_id or "–",
        "text": letter.document.text,
        "failed": f"at stage {letter.stage}, after {letter.attempts} attempts",
        "error": f"{letter.code}: {letter.error}",
    }
    for name, value in known.items():
        output.print(Text(f"{name}: {placed(value, terminal=output.is_terminal)}"))
    output.print(attempts_table(dead.history, terminal=output.is_terminal))


@eat_command("retry", short_help="Put failed documents back into the queue.")
@click.argument("documents", type=click.IntRange(min=1), nargs=-1)
@_run
def reopen_command(call: Call, documents: tuple[int, ...], run: str | None) -> None:
    """Put the failed DOCUMENTS (their numbers) back into the queue, or all of a run.

    Rounds that are stored are not asked again; attempts and errors so far stay on record. With --json: {"documents"}.
    """
    from eat_worker.runs.dead_letters import reopen

    count = reopen(call.settings, documents, run=run)
    if call.as_json:
        call.emit({"documents": count})
    elif not call.quiet:
        click.echo(f"{count} documents are in the queue again")


@eat_command("export", short_help="Write failed documents as JSON Lines that can be submitted again.")
@_run
def export_command(call: Call, run: str | None) -> None:
    """Write the failed documents as JSON Lines, one record each, as `eat submit` takes them.

    Each has "failure": what `eat dead list --json` says of it. --json changes nothing.
    """
    from eat_worker.corpora.writing import json_line
    from eat_worker.runs.dead_letters import list_dead, to_record

    out = call.data()
    for letter in list_dead(call.settings, run):
        out.write(json_line(to_record(letter)))


@eat_command("retry", short_help="Work on failed or doubtful documents of a run again.")
@click.argument("run")
@click.option("--failed", is_flag=True, help="Documents that failed for good.")
@click.option(
    "--outcome",
    type=click.Choice([str(outcome) for outcome in Outcome]),
    help="Documents with an English entity of this outcome; needs --set.",
)
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a setting; this makes a new run.")
def retry_command(call: Call, run: str, failed: bool, outcome: str | None, changes: tuple[str, ...]) -> None:
    """Work on documents of RUN again: those that failed, or those with an English entity that ended in an outcome.

    Without --set the failed documents go back into the queue of RUN. What a run froze never changes: with --set,
    which may be repeated, they are submitted to a new run that has RUN's settings except these; the same command finds
    the same run. With --json: {"run", "of", "documents", "already"}.
    """
    from eat_worker.runs.retrying import retry_failed, retry_with

    if failed == (outcome is not None):
        raise click.UsageError("say which documents: --failed or --outcome OUTCOME")
    if outcome and not changes:
        raise click.UsageError("the same settings would give the same answers; change one: --set NAME=VALUE")
    done = retry_with(call.settings, run, changes, outcome=outcome) if changes else retry_failed(call.settings, run)
    if call.as_json:
        call.emit(done.to_json())
    elif call.quiet:
        click.echo(done.run)
    else:
        known = f", {done.already} already there" if done.already else ""
        click.echo(f"run {done.run}: {done.documents} documents in the queue again{known}")
    call.tell("next: eat worker" if done.documents else "see: eat status" if done.already else "nothing is left to do")


for _command in (list_command, show_command, reopen_command, export_command):
    dead_command.add_command(_command)
