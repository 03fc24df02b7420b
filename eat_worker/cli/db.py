"""`eat db`: the schema of the database and a copy of it."""

from __future__ import annotations

from pathlib import Path

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command

db_command = click.Group("db", help="Upgrade, check and back up the database.")


@eat_command("upgrade", short_help="Bring the database to this program's schema.")
def upgrade_command(call: Call) -> None:
    """Create the database or bring it to the schema of this program; a SQLite file is backed up first.

    With --json: {"database", "before", "after", "backup"}.
    """
    from eat_worker.runs.databases import upgrade

    done = upgrade(call.settings)
    if call.as_json:
        call.emit(done.to_json())
    elif call.quiet:
        click.echo(done.after)
    else:
        moved = f"{done.before or 'empty'} -> {done.after}" if done.before != done.after else f"at {done.after} already"
        click.echo(f"{done.database}: {moved}")
        if done.backup:
            call.tell(f"the state before is kept in {done.backup}")


@eat_command("check", short_help="Say whether the database has this program's schema.")
def check_command(call: Call) -> None:
    """Compare the schema of the database with this program's; exit 78 when they differ.

    With --json: {"database", "current", "needed"}.
    """
    from eat_worker.runs.databases import check

    found = check(call.settings)
    if call.as_json:
        call.emit(found.to_json())
    else:
        click.echo(found.current if call.quiet else f"{found.database}: at {found.current}, as needed")


@eat_command("backup", short_help="Write a consistent copy of the database.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def backup_command(call: Call, file: Path | None) -> None:
    """Write a consistent copy of the database to FILE (default: into the state folder, named by the time).

    Workers may continue meanwhile. An existing FILE is not overwritten. With --json: {"database", "backup"}.
    """
    from eat_worker.runs.databases import backup

    written = backup(call.settings, file)
    if call.as_json:
        call.emit({"database": call.settings.shown("database_url") or call.settings.database, "backup": str(written)})
    else:
        click.echo(str(written))


for _command in (upgrade_command, check_command, backup_command):
    db_command.add_command(_command)
