"""`eat pause`: let a run wait."""

from __future__ import annotations

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.steering import tell_steered


@eat_command("pause", short_help="Pause a run until it is resumed.")
@click.argument("run")
def command(call: Call, run: str) -> None:
    """Begin no more documents of RUN; workers give theirs back after the current round.

    With --json: {"run", "state", "priority", "cancelled"}.
    """
    from eat_worker.runs.steering import pause

    tell_steered(call, pause(call.settings, run), f"paused; to continue: eat resume {run}")
