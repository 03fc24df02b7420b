"""`eat config`: every setting, its value and where the value came from; passwords are hidden."""

from __future__ import annotations

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import engine_options, method_options, worker_options
from eat_worker.settings import NAMES


@eat_command("config", short_help="Show every setting and where it came from.")
@method_options
@engine_options
@worker_options
def command(call: Call) -> None:
    """Show every setting, its value and its origin: an option, a variable, eat.toml or default.

    Passwords are hidden. With --json: {"settings": [{"name", "value", "origin"}]}.
    """
    settings = call.settings
    shown = [{"name": name, "value": settings.shown(name), "origin": settings.origin(name)} for name in NAMES]
    if call.as_json:
        call.emit({"settings": shown})
    elif call.quiet:
        click.echo("\n".join(NAMES))
    else:
        from eat_worker.cli.terminal import table

        rows = [[str(item["name"]), _plain(item["value"]), str(item["origin"])] for item in shown]
        output = call.console()
        columns = {"setting": "left", "value": "left", "origin": "left"}
        output.print(table(columns, rows, terminal=output.is_terminal))


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
