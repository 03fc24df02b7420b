"""`eat worker`: take documents from the queue until stopped."""

from __future__ import annotations

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import engine_options, variable, worker_options


@eat_command("worker", short_help="Work on the queue until stopped.")
@variable("--name", metavar="NAME", help="Name of this worker in the database; default: host and process.")
@engine_options
@worker_options
def command(call: Call, name: str | None) -> int:
    """Load the model and work on its documents until SIGTERM or Ctrl-C; the current rounds are finished first.

    Any number of workers may share a broker and a database; each takes only documents of its own model.
    """
    from eat_worker.runs.working import work

    return work(call.settings, name=name)
