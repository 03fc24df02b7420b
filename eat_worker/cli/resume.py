"""`eat resume`: a paused run goes on."""

from __future__ import annotations

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.steering import tell_steered


@eat_command("resume", short_help="Continue a paused run.")
@click.argument("run")
def command(call: Call, run: str) -> None:
    """Continue the paused RUN where it stopped; no round that is stored is asked again.

    With --json: {"run", "state", "priority", "cancelled"}.
    """
    from eat_worker.runs.steering import resume

    done = resume(call.settings, run)
    tell_steered(call, done, done.state)
