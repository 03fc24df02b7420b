"""`eat report`: the figures of scored documents as a table, JSON, CSV, Markdown, LaTeX, a page or pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import variable

if TYPE_CHECKING:
    from eat_worker.runs.reporting import Report

FILE = click.Path(path_type=Path, dir_okay=False)
_Files = tuple[Path | None, int, Path | None]  # the page, how many of the worst sentences it has, the pictures
FOLDER = click.Path(path_type=Path, file_okay=False)


@eat_command("report", short_help="Show F1, BLEU and entropy of scored documents.")
@variable("--dataset", metavar="NAME", help="Only this data set.")
@variable("--run", metavar="NAME", help="Only this run.")
@variable("--lang", metavar="LANG", help="Only this language.")
@click.option("--csv", "form", flag_value="csv", help="Comma-separated values, every figure a column.")
@click.option("--md", "form", flag_value="md", help="A Markdown table.")
@click.option("--latex", "form", flag_value="latex", help="A LaTeX table (package booktabs).")
@click.option("--html", type=FILE, metavar="FILE", help="Write a page with pictures and the worst sentences to FILE.")
@click.option("--worst", type=click.IntRange(min=0), default=50, show_default=True, help="Sentences on that page.")
@click.option("--plots", type=FOLDER, metavar="DIR", help="Write the pictures as SVG and PNG into the new folder DIR.")
def report_command(
    call: Call,
    *,
    dataset: str | None,
    run: str | None,
    lang: str | None,
    form: str | None,
    html: Path | None,
    worst: int,
    plots: Path | None,
) -> None:
    """Show token-strict, official and span F1 with 95 % intervals, BLEU, entropy loss, outcomes and times.

    One row per run, data set and language, and one over all languages of a run. With --json: {"rows": [{"run",
    "dataset", "lang", "documents", "token_strict": {"f1", "precision", "recall", "low", "high", ...}, "official",
    "span", "span_lenient", "span_partial", "per_tag", "false_alarms", "bleu", "entropy_loss", "outcomes", "published",
    ...}], "fingerprints": {run: {"fingerprint", "model", "settings"}}}; F1 and BLEU are percentages.
    --html and --plots need the extra `report`; they write files, and the table is left out.
    """
    from eat_worker.cli import figures
    from eat_worker.runs.reporting import report

    if call.as_json and form:
        raise click.UsageError("--json goes with neither --csv, --md nor --latex")
    fitting = {"dataset": dataset, "run": run, "lang": lang}
    found = report(call.settings, **fitting)
    if found.rows:
        _write(call, found, (html, worst, plots), fitting)
    if call.as_json:
        call.emit(found.to_json())
    elif not found.rows:
        call.tell("no runs yet; start one: eat run FILE --lang LANG")
    elif call.quiet:
        click.echo("\n".join(dict.fromkeys(row.run for row in found.rows)))
    elif form:
        click.echo(figures.FORMS[form](found), nl=False)
    elif not (html or plots):
        figures.print_report(found, call.console())


def _write(call: Call, found: Report, files: _Files, fitting: dict[str, str | None]) -> None:
    html, worst, plots = files
    if html:
        from eat_worker.cli.page.page import write_page
        from eat_worker.runs.findings import open_findings

        with open_findings(call.settings, most=worst, **fitting) as findings:
            write_page(html, found, findings)
        call.tell(f"the report is in {html}")
    if plots:
        from eat_worker.cli.page.page import write_pictures

        call.tell(f"{len(write_pictures(plots, found))} pictures, each as SVG and PNG, are in {plots}")
