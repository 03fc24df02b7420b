"""Runs, prompts and documents going in; every write here may be repeated and then adds nothing.

Knows the rows of `runs`, `models`, `prompts` and new `documents`. Knows no file format, worker or broker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import Integer, bindparam, func, literal_column, null, select, update

from eat_worker.errors import ConfigurationError, EatError, NotFound
from eat_worker.method.document import Document
from eat_worker.storage.engine import Database, Transaction, Upsert
from eat_worker.storage.rows import RUN, clean, document_row, dump, run_of
from eat_worker.storage.tables import documents, models, now, prompts, runs
from eat_worker.storage.values import Added, Run, RunSpec

MANY = 10_000  # new documents after which PostgreSQL's statistics are out of date

ADD_MODEL = Upsert(models, key=("fingerprint",), columns=("fingerprint", "spec_json"), fixed={"created_at": now()})
MODEL_ID = select(models.c.id).where(models.c.fingerprint == bindparam("fingerprint"))
ADD_RUN = Upsert(
    runs,
    key=("name",),
    columns=("name", "lang", "dataset", "config_json", "queues_json", "model_id", "state"),
    fixed={"created_at": now()},
)
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
ADD_PROMPT = Upsert(prompts, key=("sha256",), columns=("sha256", "stage", "round", "template", "set_name"))
ADD_DOCUMENT = Upsert(
    documents,
    key=("run_id", "content_sha256"),
    columns=(
        *("run_id", "ext_id", "content_sha256", "lang", "dataset"),
        *("text", "gold_json", "meta_json", "stage"),
    ),
    fixed={"created_at": now(), "status": literal_column("'queued'")},
)


class Submission:
    """The part of a store that takes runs in and finds them again."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._specs: dict[int, RunSpec] = {}  # what a run froze never changes; its state is always asked anew
        self._started: set[int] = set()  # runs whose first claim is on record
        self._prompts: dict[str, int] = {}  # row of a prompt by its SHA-256; a row never changes

    def add_run(self, spec: RunSpec) -> Run:
        """The run of that name, created unless it exists with the same settings.

        Raises ConfigurationError when it exists with other settings, saying which.
        """
        with self.database.write() as transaction:
            transaction.run(ADD_MODEL, fingerprint=spec.fingerprint, spec_json=dump(dict(spec.model)))
            model_id = transaction.rows(MODEL_ID, fingerprint=spec.fingerprint)[0][0]
            transaction.run(
                ADD_RUN,
                name=spec.name,
                lang=spec.lang,
                dataset=spec.dataset,
                config_json=dump(spec.config.to_json()),
                queues_json=dump({str(stage): queue for stage, queue in spec.queues.items()}),
                model_id=model_id,
                state="open",
            )
            run = run_from(transaction.rows(RUN_BY_NAME, name=spec.name)[0])
            differences = _differences(run.spec, spec)
            if differences:
                listed = "; ".join(differences)
                raise ConfigurationError(f"run {spec.name!r} exists with other settings: {listed}; choose another name")
        return run

    def get_run(self, name_or_id: str | int) -> Run:
        """The run of that name or number; the beginning of a name will do when only one run begins so.

        Raises NotFound.
        """
        with self.database.read() as transaction:
            return self._find_run(transaction, name_or_id)

    def list_runs(self) -> list[Run]:
        """All runs, the oldest first."""
        with self.database.read() as transaction:
            return [run_from(row) for row in transaction.rows(RUNS)]

    def add_prompts(self, templates: Iterable[tuple[str, str, int, str, str]]) -> None:
        """Registers prompt templates as (SHA-256, stage, round, template, name of the prompt set)."""
        names = ("sha256", "stage", "round", "template", "set_name")
        rows = [dict(zip(names, (sha256, str(stage), *rest), strict=True)) for sha256, stage, *rest in templates]
        with self.database.write() as transaction:
            transaction.many(ADD_PROMPT, rows)

    def add_documents(self, run_id: int, new: Iterable[Document], batch: int = 1000) -> Added:
        """Adds the documents that the run does not have yet, streaming; every batch is committed by itself.

        A complete run is open again when something was added. Raises NotFound, CorpusError, DiskFull, and EatError
        when the run is cancelled.
        """
        run = self.get_run(run_id)
        first = run.spec.config.stages()[0]
        added = seen = 0
        for rows in _batches((document_row(document, run, first) for document in new), batch):
            with self.database.write() as transaction:
                if transaction.rows(LOCK_RUN, run_id=run_id)[0][0] == "cancelled":
                    raise EatError(f"run {run.spec.name} is cancelled; give the documents another one: --run NAME")
                count = transaction.many(ADD_DOCUMENT, rows)
                if count:
                    transaction.run(REOPEN_RUN, run_id=run_id)
            added += count
            seen += len(rows)
        if added >= MANY and not self.database.is_sqlite:
            # Plans made when the table was small would be kept until the server looks by itself, a minute later.
            self.database.run_alone("ANALYZE documents")
        return Added(new=added, already=seen - added)

    def _find_run(self, transaction: Transaction, name_or_id: str | int) -> Run:
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

    def _spec(self, transaction: Transaction, run_id: int) -> RunSpec:
        spec = self._specs.get(run_id)
        if spec is None:
            spec = self._specs[run_id] = run_from(transaction.rows(RUN_BY_ID, run_id=run_id)[0]).spec
        return spec


def run_from(row: tuple[Any, ...]) -> Run:
    """A run from a row of RUNS."""
    return run_of(row[: len(RUN)], row[-2], row[-1])


def _differences(stored: RunSpec, given: RunSpec) -> list[str]:
    left, right = _settings(stored), _settings(given)
    names = sorted(left.keys() | right.keys())
    if stored.fingerprint != given.fingerprint:  # a queue is named after the model
        names = [name for name in names if not name.startswith("queue of ")]
    return [
        f"{name} is {left.get(name)!r} there and {right.get(name)!r} here"
        for name in names
        if left.get(name) != right.get(name)
    ]


def _settings(spec: RunSpec) -> dict[str, Any]:
    # `model` is described by the fingerprint: two machines may keep the same weights in different folders.
    queues = {f"queue of {stage}": queue for stage, queue in spec.queues.items()}
    settings = {"lang": spec.lang, "dataset": spec.dataset, "model": spec.fingerprint, **queues}
    return {**settings, **spec.config.to_json()}


def _batches(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, size)):
        yield batch
