"""What several parts of the store need: conditions, statements, and how a run is found. Each lies here once.

Knows tables and transactions. Decides nothing about a document.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import (
    Double,
    Integer,
    Select,
    Text,
    bindparam,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)

from eat_worker.errors import NotFound
from eat_worker.storage.engine import Database, Rows, Transaction
from eat_worker.storage.rows import ALIGNMENT, ENGLISH_ENTITY, ROUND, RUN, clean, dump, run_of
from eat_worker.storage.tables import documents, entities, events, models, now, prompts, rounds, runs
from eat_worker.storage.values import Run

PAGE = 500  # ids per query; a reader that is slow holds no transaction open between pages

# Written out rather than bound: the partial indexes are used only by a query that states their condition.
QUEUED = documents.c.status == literal_column("'queued'")
RUNNING = documents.c.status == literal_column("'running'")
LEASE = bindparam("lease_seconds", type_=Double)
FREED = {"hinted_at": null(), "lease_owner": null(), "lease_until": null()}

# What a commit writes into the document, whatever becomes of it next.
RESULTS = {
    "english": func.coalesce(bindparam("new_english", type_=Text), documents.c.english),
    "back_translation": func.coalesce(bindparam("new_back_translation", type_=Text), documents.c.back_translation),
    "stage": bindparam("next_stage"),
    **dict.fromkeys(("expiries", "retries", "breaks"), 0),
}
# What its rounds add up to, written when it ends.
USAGE_COLUMNS = {
    name: bindparam(f"sum_{name}", type_=documents.c[name].type)
    for name in ("round_count", "round_seconds", "prompt_tokens", "cached_tokens", "generated_tokens")
}

_RUNS = select(*(runs.c[name] for name in RUN), models.c.fingerprint, models.c.spec_json).join(models)
RUNS = _RUNS.order_by(runs.c.id)
RUN_BY_ID = _RUNS.where(runs.c.id == bindparam("run_id"))
RUN_BY_NAME = _RUNS.where(runs.c.name == bindparam("name"))
# Not LIKE: it folds case on SQLite and does not on PostgreSQL.
RUNS_BY_PREFIX = RUNS.where(func.substr(runs.c.name, 1, bindparam("length", type_=Integer)) == bindparam("prefix"))
# Held until the batch is in, so that a worker that ends the last document waits and then sees the new ones.
LOCK_RUN = select(runs.c.state).where(runs.c.id == bindparam("run_id")).with_for_update(key_share=True)
REOPEN_RUN = (
    update(runs)
    .where(runs.c.id == bindparam("run_id"), runs.c.state == "complete")
    .values(state="open", finished_at=null())
)

ROUNDS_OF = (
    select(*(rounds.c[name] for name in ROUND), prompts.c.sha256)
    .join(prompts, prompts.c.id == rounds.c.prompt_id)
    .where(rounds.c.document_id == bindparam("document_id"))
)
ENTITIES_OF = (
    select(*(entities.c[name] for name in (*ENGLISH_ENTITY, *ALIGNMENT)))
    .where(entities.c.document_id == bindparam("document_id"))
    .order_by(entities.c.idx)
)
_run = documents.c.run_id == bindparam("run_id")
BOUNDS = select(func.min(documents.c.id), func.max(documents.c.id)).where(_run)
COUNT_QUEUED = select(func.count()).where(QUEUED, _run)
COUNT_RUNNING = select(func.count()).where(RUNNING, _run)
ADD_EVENT = insert(events).values(
    run_id=bindparam("run_id"),
    document_id=bindparam("document_id"),
    at=now(),
    kind=bindparam("kind"),
    detail_json=bindparam("detail_json"),
)


def page_of(*columns: Any) -> Select[Any]:
    """The run's documents with ids in [first, end). `+ 0` keeps the planner from any index but that of the ids."""
    return (
        select(documents.c.id, *columns)
        .where(
            documents.c.run_id + 0 == bindparam("run_id"),
            documents.c.id >= bindparam("first"),
            documents.c.id < bindparam("end"),
        )
        .order_by(documents.c.id)
    )


def pages(database: Database, query: Select[Any], run_id: int, **values: Any) -> Iterator[Rows]:
    """The rows of a query made by `page_of`, page by page; no transaction is open between two pages."""
    with database.read() as transaction:
        lowest, highest = transaction.rows(BOUNDS, run_id=run_id)[0]
    for first in range(lowest or 0, (highest or -1) + 1, PAGE):
        with database.read() as transaction:
            rows = transaction.rows(query, run_id=run_id, first=first, end=first + PAGE, **values)
        if rows:
            yield rows


def count_unfinished(transaction: Transaction, run_ids: Collection[int]) -> int:
    """Documents of these runs that are queued or running."""
    queries = (COUNT_QUEUED, COUNT_RUNNING)
    return sum(transaction.rows(query, run_id=run_id)[0][0] for run_id in run_ids for query in queries)


def run_from(row: tuple[Any, ...]) -> Run:
    """A run from a row of RUNS."""
    return run_of(row[: len(RUN)], row[-2], row[-1])


def find_run(transaction: Transaction, name_or_id: str | int) -> Run:
    """The run of that name or number, or the only one whose name begins so. Raises NotFound."""
    name = str(name_or_id)
    rows = [] if isinstance(name_or_id, int) else transaction.rows(RUN_BY_NAME, name=name)
    if not rows and name.isascii() and name.isdigit():
        rows = transaction.rows(RUN_BY_ID, run_id=int(name))
    if not rows and isinstance(name_or_id, str) and name:
        rows = transaction.rows(RUNS_BY_PREFIX, prefix=name, length=len(name))
    if not rows:
        raise NotFound(f"no run {clean(name)!r}; `eat status` lists them")
    if len(rows) > 1:
        raise NotFound(f"{name!r} begins the names of {len(rows)} runs: {', '.join(str(row[1]) for row in rows)}")
    return run_from(rows[0])


def add_event(transaction: Transaction, kind: str, run_id: int, document_id: int | None = None, **detail: Any) -> None:
    """Records something that an operator or a later reader will want to know; `detail` is stored as JSON."""
    transaction.run(ADD_EVENT, run_id=run_id, document_id=document_id, kind=kind, detail_json=dump(detail))
