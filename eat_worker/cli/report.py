"""`eat report`: the figures of scored documents as a table, JSON, CSV or Markdown."""

from __future__ import annotations

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import variable


@eat_command("report", short_help="Show F1, BLEU and entropy of scored documents.")
@variable("--dataset", metavar="NAME", help="Only this data set.")
@variable("--run", metavar="NAME", help="Only this run.")
@variable("--lang", metavar="LANG", help="Only this language.")
@click.option("--csv", "form", flag_value="csv", help="Comma-separated values, every figure a column.")
@click.option("--md", "form", flag_value="md", help="A Markdown table.")
def report_command(call: Call, dataset: str | None, run: str | None, lang: str | None, form: str | None) -> None:
    """Show token-strict, official and span F1 with 95 % intervals, BLEU, entropy loss, outcomes and times.

    One row per run, data set and language, and one over all languages of a run. With --json: {"rows": [{"run",
    "dataset", "lang", "documents", "token_strict": {"f1", "precision", "recall", "low", "high"}, "official", "span",
    "per_tag", "bleu", "bleu_signature", "entropy_loss", "entropy_loss_pooled", "outcomes", "seconds_per_sentence",
    "published", ...}], "fingerprints": {run: {"fingerprint", "model", "settings"}}}; F1 and BLEU are percentages.
    """
    from eat_worker.cli import figures
    from eat_worker.runs.reporting import report

    if call.as_json and form:
        raise click.UsageError("--json goes with neither --csv nor --md")
    found = report(call.settings, dataset=dataset, run=run, lang=lang)
    if call.as_json:
        call.emit(found.to_json())
    elif not found.rows:
        call.tell("no runs yet; start one: eat run FILE --lang LANG")
    elif call.quiet:
        click.echo("\n".join(dict.fromkeys(row.run for row in found.rows)))
    elif form == "csv":
        click.echo(figures.csv_text(found), nl=False)
    elif form == "md":
        click.echo(figures.markdown(found), nl=False)
    else:
        figures.print_report(found, call.console())
