"""Runs, prompts and documents going in; every write here may be repeated and then adds nothing.

Knows the rows of `runs`, `models`, `prompts` and new `documents`. Knows no file format, worker or broker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import bindparam, literal_column, select

from eat_worker.errors import ConfigurationError, EatError
from eat_worker.method.document import Document
from eat_worker.storage.engine import Database, Upsert
from eat_worker.storage.rows import document_row, dump
from eat_worker.storage.statements import LOCK_RUN, REOPEN_RUN, RUN_BY_NAME, RUNS, find_run, run_from
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


class Runs:
    """Takes runs in and finds them again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_run(self, spec: RunSpec) -> Run:
        """The run of that name, created unless it exists with the same settings.

        Raises ConfigurationError when it exists with other settings, saying which.
        """
        with self._database.write() as transaction:
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
        with self._database.read() as transaction:
            return find_run(transaction, name_or_id)

    def list_runs(self) -> list[Run]:
        """All runs, the oldest first."""
        with self._database.read() as transaction:
            return [run_from(row) for row in transaction.rows(RUNS)]

    def runs_before(self, run_id: int) -> list[Run]:
        """Open runs whose documents the workers of this run take before its own, in the order they are taken."""
        run = self.get_run(run_id)
        queues, place = set(run.spec.queues.values()), (-run.priority, run.id)
        others = [other for other in self.list_runs() if other.state == "open" and (-other.priority, other.id) < place]
        mine = [other for other in others if queues & set(other.spec.queues.values())]
        return sorted(mine, key=lambda other: (-other.priority, other.id))

    def add_prompts(self, templates: Iterable[tuple[str, str, int, str, str]]) -> None:
        """Registers prompt templates as (SHA-256, stage, round, template, name of the prompt set)."""
        names = ("sha256", "stage", "round", "template", "set_name")
        rows = [dict(zip(names, (sha256, str(stage), *rest), strict=True)) for sha256, stage, *rest in templates]
        with self._database.write() as transaction:
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
            with self._database.write() as transaction:
                if transaction.rows(LOCK_RUN, run_id=run_id)[0][0] == "cancelled":
                    raise EatError(f"run {run.spec.name} is cancelled; give the documents another one: --run NAME")
                count = transaction.many(ADD_DOCUMENT, rows)
                if count:
                    transaction.run(REOPEN_RUN, run_id=run_id)
            added += count
            seen += len(rows)
        if added >= MANY and not self._database.is_sqlite:
            # Plans made when the table was small would be kept until the server looks by itself, a minute later.
            self._database.run_alone("ANALYZE documents")
        return Added(new=added, already=seen - added)


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
