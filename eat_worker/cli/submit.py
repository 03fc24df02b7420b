"""`eat submit`: put a corpus into the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import CorpusOptions, corpus_options, engine_options, method_options, priority, run_name
from eat_worker.cli.outcome import PARTLY
from eat_worker.cli.submission import submitted, tell_submitted


@eat_command("submit", short_help="Put a corpus into the queue.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@corpus_options
@run_name
@priority
@method_options
@engine_options
def command(call: Call, file: Path, *, run: str | None, priority: int | None, **corpus: Unpack[CorpusOptions]) -> None:
    """Store the documents of FILE (JSONL or BIO, - is stdin) under a run; workers take them from there.

    Records need a text; id, lang, dataset, entities and meta are optional. Submitting the same file with the same
    settings again adds nothing. Refused records go to a quarantine file; then the exit code is 3. With --json:
    {"run", "new", "already", "left", "rejected": {code: n}, "quarantine", "dropped": {tag: n}, "repaired"}.
    """
    done = submitted(call, file, run=run, priority=priority, **corpus)
    if call.as_json:
        call.emit(done.to_json())
    elif call.quiet:
        click.echo(done.run)
    else:
        click.echo(f"run {done.run}: {done.new} new, {done.already} already there, {done.left} still to do")
    tell_submitted(call, done)
    call.tell("next: eat worker" if done.new else "see: eat status" if done.left else "nothing is left to do")
    if done.rejected:
        click.get_current_context().exit(PARTLY)
