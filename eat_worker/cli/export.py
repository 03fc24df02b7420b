"""`eat export`: the annotations of a run, record by record."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command


@eat_command("export", short_help="Write the annotations of a run as JSON Lines.")
@click.argument("run")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to FILE, not stdout; whole or not at all.",
)
def command(call: Call, run: str, *, output: Path | None) -> None:
    """Write what was found in RUN, one JSON record per document that is done, in the order they were submitted.

    A record has id, text, lang, dataset, entities ({"start", "end", "tag", "words", "english", ...}), english,
    back_translation, ledger, meta, run and fingerprint; offsets count Unicode code points. --json changes nothing.
    Documents that have not ended or failed are counted on stderr.
    """
    import json

    from eat_worker.corpora.writing import new_records
    from eat_worker.runs.exporting import open_export

    with open_export(call.settings, run) as found:
        if output is None:
            for record in found.records:
                sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        else:
            with new_records(output) as written:
                for record in found.records:
                    written.write(record)
            call.tell(f"{written.count} records of run {found.run} are in {output}")
        if found.others:
            rest = ", ".join(f"{count} {status}" for status, count in found.others.items())
            call.tell(f"not in it: {rest}; see: eat status {found.run}")
