"""`eat import-review`: corrected annotations, brought back with author and reason."""

from __future__ import annotations

from pathlib import Path

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import variable
from eat_worker.cli.outcome import PARTLY

SHOWN = 20  # refused records that are listed


@eat_command("import-review", short_help="Bring corrected annotations of a run back.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@variable("--run", "run", metavar="NAME", required=True, help="The run whose documents were corrected.")
@click.option("--author", metavar="NAME", required=True, help="Who corrected them.")
@click.option("--reason", metavar="TEXT", required=True, help="Why, such as: guidelines 2, second pass.")
def import_review_command(call: Call, file: Path, *, run: str, author: str, reason: str) -> None:
    """Store the entities of FILE as reviews: JSON Lines of `eat export`, or an export of Label Studio or doccano.

    Documents are found by id, and by text where they have none; a record is refused when its text is not that of the
    document. What the model said stays. The newest review of a document counts; `eat export RUN --reviewed` writes
    those. The same file imported again adds nothing.
    """
    from eat_worker.cli.terminal import visible
    from eat_worker.runs.reviewing import import_reviews
    from eat_worker.storage.reviews import ReviewOutcome

    done = import_reviews(call.settings, file, run, author=author, reason=reason)
    added, already = done.outcomes[ReviewOutcome.ADDED], done.outcomes[ReviewOutcome.ALREADY]
    if call.as_json:
        refused = [{"record": number, "reason": why} for number, why in done.refused]
        call.emit({"run": done.run, "added": added, "already": already, "refused": refused})
    else:
        call.tell(f"run {done.run}: {added} reviews added, {already} already there, {len(done.refused)} refused")
        for number, why in done.refused[:SHOWN]:
            call.tell(f"record {number}: {visible(why)}")
    if done.refused:
        click.get_current_context().exit(PARTLY)
