"""`eat pause`, `resume`, `cancel` and `priority`: what an operator does to a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import PRIORITIES

if TYPE_CHECKING:
    from eat_worker.runs.steering import Steered

_run = click.argument("run")


@eat_command("pause", short_help="Pause a run until it is resumed.")
@_run
def pause_command(call: Call, run: str) -> None:
    """Begin no more documents of RUN; workers give theirs back after the current round.

    With --json: {"run", "state", "priority", "cancelled"}.
    """
    from eat_worker.runs.steering import pause

    _tell(call, pause(call.settings, run), f"paused; to continue: eat resume {run}")


@eat_command("resume", short_help="Continue a paused run.")
@_run
def resume_command(call: Call, run: str) -> None:
    """Continue the paused RUN where it stopped; no round that is stored is asked again.

    With --json: {"run", "state", "priority", "cancelled"}.
    """
    from eat_worker.runs.steering import resume

    done = resume(call.settings, run)
    _tell(call, done, done.state)


@eat_command("cancel", short_help="Cancel a run for good.")
@_run
def cancel_command(call: Call, run: str) -> None:
    """Cancel every document of RUN that has not ended. Those that have keep their results.

    Workers stop after the current round, and their later writes are refused. With --json: {"run", "state",
    "priority", "cancelled"}: how many documents were cancelled now.
    """
    from eat_worker.runs.steering import cancel

    done = cancel(call.settings, run)
    _tell(call, done, f"cancelled, {done.cancelled} documents with it")


@eat_command("priority", short_help="Change the priority of a run.")
@_run
@click.argument("number", type=PRIORITIES, metavar="N")
def priority_command(call: Call, run: str, number: int) -> None:
    """Take documents of RUN before those of runs of lower priority; the default is 0. Write -- before a negative N.

    Documents that are announced already keep their place. With --json: {"run", "state", "priority", "cancelled"}.
    """
    from eat_worker.runs.steering import set_priority

    done = set_priority(call.settings, run, number)
    _tell(call, done, f"priority {done.priority}")


def _tell(call: Call, done: Steered, words: str) -> None:
    """The run as JSON, as its name, or in `words`."""
    if call.as_json:
        call.emit(done.to_json())
    else:
        click.echo(done.run if call.quiet else f"run {done.run}: {words}")
