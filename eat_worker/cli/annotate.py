"""`eat annotate`: a file in, annotated records out; no queue and no database."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import CorpusOptions, corpus_options, engine_options, method_options
from eat_worker.cli.outcome import PARTLY
from eat_worker.cli.reading_notes import tell_notes

if TYPE_CHECKING:
    from eat_worker.corpora.records import Tally


@eat_command("annotate", short_help="Annotate a file without queue or database.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, not stdout.")
@click.option("--with-rounds", is_flag=True, help="Add every round: prompt id, variables, answer and cost.")
@corpus_options
@method_options
@engine_options
def annotate_command(
    call: Call,
    file: Path,
    *,
    output: Path | None,
    with_rounds: bool,
    **corpus: Unpack[CorpusOptions],
) -> None:
    """Annotate FILE (any format, - is stdin) and write one JSON record per line, in the order of the file.

    A record has text, lang, id, dataset, entities ({"start", "end", "tag", "words", "english", ...}), english,
    ledger and seconds; one that failed or was refused has error instead. Nothing is kept: after a stop it starts again.
    """
    from eat_worker.cli.progress import Progress
    from eat_worker.corpora.writing import Sink, json_line
    from eat_worker.runs.annotating import annotate_file

    if output and output.exists() and file.exists() and output.samefile(file):
        raise click.UsageError(f"{output} is the file that is read")
    failed = 0
    # The bar and the records would share a terminal.
    silent = call.quiet or call.as_json or (output is None and sys.stdout.isatty())
    with ExitStack() as stack:
        progress = stack.enter_context(Progress("annotating", silent=silent))
        met: list[Tally] = []
        records = annotate_file(call.settings, file, with_rounds=with_rounds, when_read=met.append, **corpus)
        first = next(records)  # what cannot be read at all must not empty the output
        stream: Sink = stack.enter_context(output.open("wb")) if output else call.data()
        for number, record in enumerate(chain([first], records), start=1):
            stream.write(json_line(record))
            stream.flush()
            failed += "error" in record
            progress.update(number)
    for tally in met:
        tell_notes(call, tally.notes, tally.repaired, tally.dropped)
    if failed:
        call.tell(f"{failed} records failed or were refused; their lines say why")
        click.get_current_context().exit(PARTLY)
