"""What `eat submit` and `eat run` share: reading a corpus under a progress bar, and telling what was refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from eat_worker.cli.call import Call
from eat_worker.cli.options import CorpusOptions

if TYPE_CHECKING:
    from eat_worker.runs.submitting import Submitted


def submitted(
    call: Call, file: Path, *, run: str | None, priority: int | None, **corpus: Unpack[CorpusOptions]
) -> Submitted:
    """Submit the file, showing how many records were read."""
    from eat_worker.cli.progress import Progress
    from eat_worker.runs.submitting import submit

    with Progress("reading", silent=call.quiet or call.as_json, unit="records") as progress:
        return submit(call.settings, file, name=run, priority=priority, on_progress=progress.update, **corpus)


def tell_submitted(call: Call, done: Submitted) -> None:
    """Say which records were refused, and where they are."""
    if done.rejected:
        reasons = ", ".join(f"{count} {code}" for code, count in sorted(done.rejected.items()))
        call.tell(f"{sum(done.rejected.values())} records refused ({reasons}); they are in {done.quarantine}")
