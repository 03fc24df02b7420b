"""`eat cancel`: end a run for good."""

from __future__ import annotations

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.steering import tell_steered


@eat_command("cancel", short_help="Cancel a run for good.")
@click.argument("run")
def command(call: Call, run: str) -> None:
    """Cancel every document of RUN that has not ended. Those that have keep their results.

    Workers stop after the current round, and their later writes are refused. With --json: {"run", "state",
    "priority", "cancelled"}: how many documents were cancelled now.
    """
    from eat_worker.runs.steering import cancel

    done = cancel(call.settings, run)
    tell_steered(call, done, f"cancelled, {done.cancelled} documents with it")
