"""`eat retry`: documents of a run once more, as they are or under other settings."""

from __future__ import annotations

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.method.document import Outcome


@eat_command("retry", short_help="Work on failed or doubtful documents of a run again.")
@click.argument("run")
@click.option("--failed", is_flag=True, help="Documents that failed for good.")
@click.option(
    "--outcome",
    type=click.Choice([str(outcome) for outcome in Outcome]),
    help="Documents with an English entity of this outcome; needs --set.",
)
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a setting; this makes a new run.")
def command(call: Call, run: str, failed: bool, outcome: str | None, changes: tuple[str, ...]) -> None:
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
