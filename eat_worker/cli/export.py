"""`eat export`: the annotations of a run, record by record."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.corpora.exports import FORMATS, Written, export, export_format


@eat_command("export", short_help="Write the annotations of a run as JSON Lines.")
@click.argument("run")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to FILE, not stdout; whole or not at all.",
)
@click.option("--format", "format_", type=click.Choice(FORMATS), default="jsonl", show_default=True, help="Format.")
def export_command(call: Call, run: str, *, output: Path | None, format_: str) -> None:
    """Write what was found in RUN, one JSON record per document that is done, in the order they were submitted.

    A record has id, text, lang, dataset, entities ({"start", "end", "tag", "words", "english", ...}), english,
    back_translation, ledger, meta, run and fingerprint; offsets count Unicode code points. --json changes nothing.
    Documents that have not ended or failed are counted on stderr.
    """
    from eat_worker.runs.exporting import open_export

    made = export_format(format_)
    if output is None and made.to_stream is None:
        raise click.UsageError(f"{format_} needs a folder: --output DIR")
    with open_export(call.settings, run) as found:
        if output:
            written = export(made, found.records, output)
            call.tell(f"{written.records} records of run {found.run} are in {output}")
        elif made.to_stream:
            made.to_stream(found.records, sys.stdout.buffer, written := Written())
        _tell_losses(call, written)
        if found.others:
            rest = ", ".join(f"{count} {status}" for status, count in found.others.items())
            call.tell(f"not in it: {rest}; see: eat status {found.run}")


def _tell_losses(call: Call, written: Written) -> None:
    if written.snapped:
        call.tell(f"{written.snapped} entities were moved to the borders the format knows")
    for reason, count in sorted(written.dropped.items()):
        call.tell(f"{count} left out: {reason}")
