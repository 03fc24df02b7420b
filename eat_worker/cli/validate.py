"""`eat validate`: what is in a corpus file, and what is wrong with it, before anything is queued."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import CorpusOptions, corpus_options
from eat_worker.cli.outcome import PARTLY
from eat_worker.cli.reading_notes import tell_reading


@eat_command("validate", short_help="Read a corpus file and say what is wrong with it.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@corpus_options
def validate_command(call: Call, file: Path, **corpus: Unpack[CorpusOptions]) -> None:
    """Read FILE (any format, - is stdin) as submit would, and queue nothing; the exit code is 3 with refused records.

    With --json: {"file", "documents", "rejected": {code: n}, "first_rejected", "quarantine", "entities": {tag: n},
    "dropped": {tag: n}, "repaired", "notes": {what: n}, "document_bytes", "rejected_bytes", "other_bytes"}.
    """
    from eat_worker.runs.corpus import validate

    done = validate(call.settings, file, **corpus)
    if call.as_json:
        call.emit(done.to_json())
    elif not call.quiet:
        gold = ", ".join(f"{count} {tag}" for tag, count in sorted(done.entities.items())) or "none"
        click.echo(f"{file}: {done.documents} documents, gold entities: {gold}")
        for one in done.first_rejected:
            click.echo(f"{one['where']}: {one['code']}: {one['message']}")
    tell_reading(call, done)
    if done.rejected:
        click.get_current_context().exit(PARTLY)
