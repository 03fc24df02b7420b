"""`eat priority`: which runs come first."""

from __future__ import annotations

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import PRIORITIES
from eat_worker.cli.steering import tell_steered


@eat_command("priority", short_help="Change the priority of a run.")
@click.argument("run")
@click.argument("number", type=PRIORITIES, metavar="N")
def command(call: Call, run: str, number: int) -> None:
    """Take documents of RUN before those of runs of lower priority; the default is 0. Write -- before a negative N.

    Documents that are announced already keep their place. With --json: {"run", "state", "priority", "cancelled"}.
    """
    from eat_worker.runs.steering import set_priority

    done = set_priority(call.settings, run, number)
    tell_steered(call, done, f"priority {done.priority}")
