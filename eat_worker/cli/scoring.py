"""`eat eval` and `eat compare`: the figures of files, and the difference of two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import CorpusOptions, corpus_options
from eat_worker.cli.outcome import PARTLY


@eat_command("eval", short_help="Score a file of any system against a gold file.")
@click.argument("gold", type=click.Path(path_type=Path))
@click.argument("predictions", type=click.Path(path_type=Path))
@corpus_options
def eval_command(call: Call, gold: Path, predictions: Path, **corpus: Unpack[CorpusOptions]) -> None:
    """Score the entities of PREDICTIONS against those of GOLD, by every scorer and type, with 95 % intervals.

    Each file may have any format that `eat submit` reads; what `eat export` writes is one. A sentence finds its partner
    by its text. With --json: {"rows": [{"dataset", "lang", "documents", "token_strict", "official", "span",
    "span_lenient", "span_partial", "per_tag", "false_alarms"}], "matched", "missing", "unknown", "without_gold",
    "rejected", "dropped"}; F1 is a percentage.
    """
    from eat_worker.cli import comparison
    from eat_worker.runs.evaluating import evaluate

    found = evaluate(gold, predictions, **corpus)
    if call.as_json:
        call.emit(found.to_json())
    else:
        comparison.print_evaluation(found, call.console())
        for line in comparison.losses(found):
            call.tell(line)
    if any(found.rejected.values()):
        click.get_current_context().exit(PARTLY)


@eat_command("compare", short_help="Compare two runs on the same documents.")
@click.argument("first")
@click.argument("second")
@click.option(
    "--flipped", type=click.IntRange(min=0), default=20, show_default=True, metavar="N", help="Flipped sentences shown."
)
def compare_command(call: Call, first: str, second: str, *, flipped: int) -> None:
    """Compare the runs FIRST and SECOND on the documents that both have scored, FIRST minus SECOND.

    Every difference has a 95 % interval (paired bootstrap over documents) and two p-values: of that bootstrap and of
    approximate randomisation; they are not corrected for the number of rows. A sentence has flipped when one run found
    all its entities and nothing else, and the other did not. With --json: {"first", "second", "settings", "documents",
    "only_first", "only_second", "rows": [{"dataset", "lang", "type", "scorer", "documents", "first", "second",
    "delta", "low", "high", "p_value", "p_randomisation"}], "flips": {"first", "second"}, "flipped": [...]}.
    """
    from eat_worker.cli import comparison
    from eat_worker.runs.comparing import compare

    found = compare(call.settings, first, second, flipped=flipped)
    if call.as_json:
        call.emit(found.to_json())
    else:
        comparison.print_comparison(found, call.console())
