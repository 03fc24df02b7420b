"""How much work waits: documents by state, the age of the oldest, and the engine time that they will take.

Asked again and again by every worker, so it counts in indexes and looks at a sample where it needs a mean. Knows no
run by name: `eat status` lists those.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, ScalarSelect, func, select

from eat_worker.storage.engine import Transaction
from eat_worker.storage.statements import QUEUED, RUNNING
from eat_worker.storage.tables import documents, now, runs
from eat_worker.storage.values import Backlog

# Until a document of the run has ended: of the order of what a 14B model takes per sentence on one card.
SECONDS_PER_DOCUMENT = 10.0
# Documents whose time is looked at per run: their mean is good to some per cent, and costs the same whether ten
# thousand have ended or ten million.
SAMPLE = 1000

_of_run = documents.c.run_id == runs.c.id


def _count(which: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).where(_of_run, which).correlate(runs).scalar_subquery()


_ended = (
    select(documents.c.round_seconds)
    .where(_of_run, documents.c.finished_at.is_not(None), documents.c.round_count > 0)
    .limit(SAMPLE)
    .correlate(runs)
    .subquery("ended")
)
BY_RUN = select(
    runs.c.state,
    _count(QUEUED),
    _count(RUNNING),
    _count(documents.c.status == "failed"),
    now() - select(func.min(documents.c.created_at)).where(_of_run, QUEUED).correlate(runs).scalar_subquery(),
    select(func.avg(_ended.c.round_seconds)).scalar_subquery(),
)


def backlog_of(transaction: Transaction) -> Backlog:
    """What open runs still have to do, and the documents of all runs that failed for good."""
    rows = transaction.rows(BY_RUN)
    still_open = [row[1:] for row in rows if row[0] == "open"]
    return Backlog(
        queued=sum(queued for queued, *_ in still_open),
        running=sum(running for _, running, *_ in still_open),
        dead_letters=sum(row[3] for row in rows),
        oldest_age_seconds=max((max(age, 0.0) for _, _, _, age, _ in still_open if age is not None), default=0.0),
        seconds=sum(
            (queued + running) * (SECONDS_PER_DOCUMENT if mean is None else float(mean))
            for queued, running, _, _, mean in still_open
        ),
    )
