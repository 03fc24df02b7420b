"""What `eat submit` and `eat run` share: reading a corpus under a progress bar, and telling what was refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eat_worker.cli.call import Call

if TYPE_CHECKING:
    from eat_worker.runs.submitting import Submitted


def submitted(
    call: Call,
    file: Path,
    *,
    lang: str | None,
    dataset: str | None,
    format_: Literal["auto", "jsonl", "bio"],
    limit: int | None,
    run: str | None,
) -> Submitted:
    """Submit the file, showing how many records were read."""
    from eat_worker.cli.progress import Progress
    from eat_worker.runs.submitting import submit

    with Progress("reading", silent=call.quiet or call.as_json, unit="records") as progress:
        return submit(
            call.settings,
            file,
            lang=lang,
            dataset=dataset,
            name=run,
            format=None if format_ == "auto" else format_,
            limit=limit,
            on_progress=progress.update,
        )


def tell_submitted(call: Call, done: Submitted) -> None:
    """Say which records were refused, and where they are."""
    if done.rejected:
        reasons = ", ".join(f"{count} {code}" for code, count in sorted(done.rejected.items()))
        call.tell(f"{sum(done.rejected.values())} records refused ({reasons}); they are in {done.quarantine}")
