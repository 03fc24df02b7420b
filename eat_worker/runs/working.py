"""Working on the queue: a worker that serves until stopped, and the one that `eat run` brings along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eat_worker.jobs import local, worker
from eat_worker.runs.progress import RunProgress, status
from eat_worker.settings import Settings
from eat_worker.storage.store import open_store

OnProgress = Callable[[int, int], None]
"""Hears how many documents have ended, and how many there are; those of runs that come first are counted with them."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the workers of a run do first: `documents` that have not ended, of these `runs`."""

    runs: tuple[str, ...]
    documents: int


def work(settings: Settings, *, name: str | None = None) -> int:
    """Serve the queue until SIGTERM or Ctrl-C; returns the exit code of the worker."""
    return worker.serve(settings, name=name)


def ahead(settings: Settings, run: str) -> Ahead:
    """Older or more urgent open runs of the same model. Raises NotFound."""
    with open_store(settings.database) as store:
        before = store.runs.runs_before(store.runs.get_run(run).id)
        left = {one.spec.name: store.reading.count_unfinished([one.id]) for one in before}
    return Ahead(tuple(name for name, count in left.items() if count), sum(left.values()))


def finish(settings: Settings, run: str, *, on_progress: OnProgress | None = None) -> RunProgress:
    """Work until every document of the run has ended and say how it ended.

    Raises KeyboardInterrupt after SIGTERM or Ctrl-C, when the worker has put everything away.
    """
    with open_store(settings.database) as store:
        run_id = store.runs.get_run(run).id

    most = 0  # documents of other runs that were to be done first

    def told(counts: local.Counts) -> None:
        nonlocal most
        most = max(most, counts.ahead)
        if on_progress:
            on_progress(counts.ended + most - counts.ahead, counts.total + most)

    finished = local.run_until_done(settings, [run_id], on_progress=told)
    if finished.signal is not None:
        raise KeyboardInterrupt
    return status(settings, run)[0]
