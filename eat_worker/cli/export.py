"""`eat export`: the annotations of a run, in the format of the tool that reads them next."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.corpora.exports import FORMATS, ExportFormat, Tokens, Written, export, export_format

_FILE = click.Path(path_type=Path, dir_okay=False)


@eat_command("export", short_help="Write the annotations of a run for another tool.")
@click.argument("run")
@click.option("--to", "to", type=click.Choice(FORMATS), default="jsonl", show_default=True, help="Format.")
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write to FILE, not stdout; whole or not at all.")
@click.option(
    "--tokens",
    type=click.Choice(["auto", "words", "characters"]),
    default="auto",
    show_default=True,
    help="What formats with tokens cut texts into; auto: as the language is written.",
)
@click.option(
    "--cut",
    type=click.Choice(["snap", "refuse"]),
    default="snap",
    show_default=True,
    help="An entity that ends inside a token: moved to its borders and counted, or an error.",
)
@click.option(
    "--only",
    type=click.Choice(["low", "unaligned"]),
    multiple=True,
    help="Only documents with an entity of low confidence, or with one that found no words.",
)
@click.option(
    "--below", type=click.FloatRange(0, 1), default=0.5, show_default=True, metavar="C", help="What --only low means."
)
@click.option("--reviewed", is_flag=True, help="Only documents with a review, with its entities.")
def export_command(
    call: Call,
    run: str,
    *,
    to: str,
    output: Path | None,
    tokens: Tokens,
    cut: str,
    only: tuple[str, ...],
    below: float,
    reviewed: bool,
) -> None:
    """Write what was found in RUN, one record per document that is done, in the order they were submitted.

    A JSON record has id, text, lang, dataset, entities ({"start", "end", "tag", "words", "english", ...}), english,
    back_translation, ledger, meta, run and fingerprint; offsets count Unicode code points. --json changes nothing.
    What a format cannot say, and documents that have not ended or failed, are counted on stderr.
    """
    from eat_worker.runs.exporting import Choice, open_export

    made = export_format(to)
    _check_place(to, made, output)
    written = Written(tokens=tokens, refuse_cuts=cut == "refuse")
    with open_export(call.settings, run, Choice(only, below, reviewed)) as found:
        if output:
            export(made, found.records, output, written)
            call.tell(f"{written.records} records of run {found.run} are in {output}; offsets: {made.offsets}")
        elif made.to_stream:
            made.to_stream(found.records, call.data(), written)
        _tell_losses(call, written)
        if found.passed_over:
            call.tell(f"not in it: {found.passed_over} documents that were not asked for")
        if found.others:
            rest = ", ".join(f"{count} {status}" for status, count in found.others.items())
            call.tell(f"not in it: {rest}; see: eat status {found.run}")


def _check_place(to: str, made: ExportFormat, output: Path | None) -> None:
    """Raises UsageError where stdout cannot take the format."""
    if output is None and made.to_stream is None:
        raise click.UsageError(f"{to} needs a folder: --output DIR")
    if output is None and not made.is_text and sys.stdout.isatty():
        raise click.UsageError(f"{to} is no text for a terminal: --output FILE")


def _tell_losses(call: Call, written: Written) -> None:
    for segmenter, count in sorted(written.segmenters.items()):
        call.tell(f"{count} records were cut into {segmenter}")
    if written.snapped:
        call.tell(f"{written.snapped} entities were moved to the borders of tokens")
    if written.escaped:
        call.tell(f"{written.escaped} cells got an apostrophe, so that no spreadsheet takes them for a formula")
    for reason, count in sorted(written.dropped.items()):
        call.tell(f"{count} left out: {reason}")
