"""What is stored, read back: how runs stand, one document's dossier, texts and annotations page by page.

Counts come from indexes that hold every column asked for, so that they stay quick on a million documents.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import bindparam, func, select

from eat_worker.errors import NotFound
from eat_worker.method.document import Alignment, Document, Stage
from eat_worker.storage.engine import Database, Transaction
from eat_worker.storage.rows import (
    ALIGNMENT,
    DOCUMENT,
    ENGLISH_ENTITY,
    SCORES,
    clean,
    document_of,
    in_order,
    ledger_of,
    round_of,
    scores_of,
)
from eat_worker.storage.statements import (
    ENTITIES_OF,
    ROUNDS_OF,
    RUN_BY_ID,
    RUNS,
    count_unfinished,
    find_run,
    page_of,
    pages,
    run_from,
)
from eat_worker.storage.sums import score_sums
from eat_worker.storage.tables import attempts, documents, entities, rounds, runs, scores
from eat_worker.storage.values import STATUSES, Annotated, Attempt, Dossier, Run, RunStatus, ScoreSums, WorkerRecord
from eat_worker.storage.workers import recent_workers

NAMESAKES = 10  # documents of one external id that are told apart by name

_run = documents.c.run_id == bindparam("run_id")
_ALL_COUNTS = select(documents.c.run_id, documents.c.status, documents.c.error_code, func.count()).group_by(
    # In the order of the index: nothing is sorted.
    *(documents.c[name] for name in ("run_id", "status", "dataset", "lang", "error_code"))
)
_ALL_USAGE = (
    select(
        documents.c.run_id,
        func.sum(documents.c.round_seconds),
        func.sum(documents.c.round_count),
        func.sum(documents.c.generated_tokens),
        func.max(documents.c.finished_at),
    )
    .where(documents.c.finished_at.is_not(None))
    .group_by(documents.c.run_id)
)
_ALL_STARTS = select(runs.c.id, runs.c.started_at)
COUNTS = {False: _ALL_COUNTS, True: _ALL_COUNTS.where(_run)}
USAGE = {False: _ALL_USAGE, True: _ALL_USAGE.where(_run)}
STARTS = {False: _ALL_STARTS, True: _ALL_STARTS.where(runs.c.id == bindparam("run_id"))}
COUNT_ROUNDS = (
    select(func.count()).select_from(rounds.join(documents, documents.c.id == rounds.c.document_id)).where(_run)
)

_DOSSIER = select(
    *(documents.c[name] for name in ("id", "run_id", "stage", "status", "error_code", "error")),
    *(documents.c[name] for name in ("english", "back_translation", *DOCUMENT)),
)
_newest = documents.c.id.desc()
BY_ID = _DOSSIER.where(documents.c.id == bindparam("document_id"))
BY_EXT_ID = _DOSSIER.where(documents.c.ext_id == bindparam("ext_id")).order_by(_newest).limit(1)
BY_ID_IN_RUN = BY_ID.where(_run)
BY_EXT_ID_IN_RUN = BY_EXT_ID.where(_run)
_SAME_EXT_ID = (
    select(documents.c.id, runs.c.name)
    .join(runs, runs.c.id == documents.c.run_id)
    .where(documents.c.ext_id == bindparam("ext_id"))
    .order_by(_newest)
    .limit(NAMESAKES + 1)
)
SAME_EXT_ID = {False: _SAME_EXT_ID, True: _SAME_EXT_ID.where(_run)}
SCORES_OF = select(*(scores.c[name] for name in SCORES)).where(scores.c.document_id == bindparam("document_id"))
ATTEMPTS_OF = (
    select(*(attempts.c[name] for name in ("stage", "attempt", "worker", "started_at", "ended_at", "outcome", "error")))
    .where(attempts.c.document_id == bindparam("document_id"))
    .order_by(attempts.c.attempt)
)

TEXTS = page_of(documents.c.text, documents.c.back_translation).where(
    documents.c.dataset + "" == bindparam("dataset"),
    documents.c.lang + "" == bindparam("lang"),
    documents.c.back_translation.is_not(None),
    documents.c.status == "done",
)
ANNOTATED = page_of(
    *(documents.c[name] for name in ("error_code", "english", "back_translation", *DOCUMENT)),
).where(documents.c.status.in_([bindparam("done"), bindparam("skipped")]))
LEDGERS = (
    select(entities.c.document_id, *(entities.c[name] for name in (*ENGLISH_ENTITY, *ALIGNMENT)))
    .where(entities.c.document_id >= bindparam("first"), entities.c.document_id <= bindparam("end"))
    .order_by(entities.c.document_id, entities.c.idx)
)


class Reading:
    """Says what is there, and changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run_status(self, run_id: int | None = None) -> list[RunStatus]:
        """How every run stands, or the one of that number. Seconds, rounds and tokens are those of ended documents."""
        one, values = run_id is not None, {} if run_id is None else {"run_id": run_id}
        with self._database.read() as transaction:
            found = [run_from(row) for row in transaction.rows(RUN_BY_ID if one else RUNS, **values)]
            counts = transaction.rows(COUNTS[one], **values)
            usage = {row[0]: row[1:] for row in transaction.rows(USAGE[one], **values)}
            starts: dict[int, float | None] = dict(transaction.rows(STARTS[one], **values))
        if one and not found:
            raise NotFound(f"no run {run_id}; `eat status` lists them")
        status = {run.id: (dict.fromkeys(STATUSES, 0), dict[str, int]()) for run in found}
        for key, name, code, count in counts:
            by_status, failures = status[key]
            by_status[name] += count
            if name == "failed":
                failures[code] = failures.get(code, 0) + count
        return [_run_status(run, *status[run.id], usage.get(run.id), starts[run.id]) for run in found]

    def workers(self) -> list[WorkerRecord]:
        """Workers that were heard of within the last day, the oldest first."""
        with self._database.read() as transaction:
            return recent_workers(transaction)

    def count_unfinished(self, run_ids: Collection[int]) -> int:
        """Documents of these runs that are queued or running."""
        with self._database.read() as transaction:
            return count_unfinished(transaction, run_ids)

    def count_rounds(self, run_ids: Collection[int]) -> int:
        """Rounds stored for documents of these runs, those that have not ended too. Reads them all."""
        with self._database.read() as transaction:
            return sum(transaction.rows(COUNT_ROUNDS, run_id=run_id)[0][0] for run_id in run_ids)

    def dossier(self, document: int | str, run: str | int | None = None) -> Dossier:
        """Everything about one document, named by its number or by the id its corpus gave it.

        Where several have that id, the newest is meant; `run` narrows the search. Raises NotFound.
        """
        with self._database.read() as transaction:
            run_id = None if run is None else find_run(transaction, run).id
            row = _find_document(transaction, document, run_id)
            if row is None:
                inside = "" if run is None else f" in run {run!r}"
                raise NotFound(f"no document {clean(str(document))}{inside}; name its number or its id")
            return _dossier(transaction, row)

    def namesakes(self, ext_id: str, run: str | int | None = None) -> list[tuple[int, str]]:
        """Number and run of the documents to which their corpus gave that id, the newest first.

        At most NAMESAKES + 1 of them; `run` narrows the search. Raises NotFound when there is no such run.
        """
        with self._database.read() as transaction:
            within = {} if run is None else {"run_id": find_run(transaction, run).id}
            return [(key, name) for key, name in transaction.rows(SAME_EXT_ID[bool(within)], ext_id=ext_id, **within)]

    def score_sums(
        self, *, dataset: str | None = None, run: str | int | None = None, lang: str | None = None
    ) -> list[ScoreSums]:
        """The sums over all scored documents, narrowed by what is given; groups without a score are left out.

        Raises NotFound when there is no such run.
        """
        with self._database.read() as transaction:
            run_id = None if run is None else find_run(transaction, run).id
            return score_sums(transaction, run_id, dataset, lang)

    def iter_texts(self, run_id: int, dataset: str, lang: str) -> Iterator[tuple[str, str]]:
        """(text, back-translation) of every document that is done and has both, in the order they came."""
        for rows in pages(self._database, TEXTS, run_id, dataset=dataset, lang=lang):
            yield from ((text, back_translation) for _, text, back_translation in rows)

    def iter_annotations(self, run_id: int) -> Iterator[Annotated]:
        """Every document that is done or was skipped, with its alignments, in the order they came."""
        for rows in pages(self._database, ANNOTATED, run_id, done="done", skipped="skipped"):
            ledgers = self._ledgers(rows[0][0], rows[-1][0])
            for key, skipped, english, back_translation, *document in rows:
                yield Annotated(
                    document_id=key,
                    document=document_of(document),
                    skipped=skipped,
                    english=english,
                    back_translation=back_translation,
                    alignments=ledgers.get(key, ()),
                )

    def _ledgers(self, first: int, end: int) -> dict[int, tuple[Alignment, ...]]:
        with self._database.read() as transaction:
            rows = transaction.rows(LEDGERS, first=first, end=end)
        by_document: dict[int, list[tuple[Any, ...]]] = {}
        for key, *entity in rows:
            by_document.setdefault(key, []).append(tuple(entity))
        return {key: ledger_of(entity_rows)[1] for key, entity_rows in by_document.items()}


def _run_status(
    run: Run,
    counts: dict[str, int],
    failures: dict[str, int],
    usage: tuple[Any, ...] | None,
    started_at: float | None,
) -> RunStatus:
    seconds, asked, generated, last_finished_at = usage or (None, None, None, None)
    return RunStatus(
        run=run,
        documents=counts,
        failures=failures,
        seconds_generating=float(seconds or 0.0),
        rounds=int(asked or 0),
        generated_tokens=int(generated or 0),
        first_started_at=started_at,
        last_finished_at=last_finished_at,
    )


def _find_document(transaction: Transaction, document: int | str, run_id: int | None) -> tuple[Any, ...] | None:
    within = {} if run_id is None else {"run_id": run_id}
    row = None
    if isinstance(document, str):
        row = transaction.row(BY_EXT_ID_IN_RUN if within else BY_EXT_ID, ext_id=document, **within)
        if row is None and not (document.isascii() and document.isdigit()):
            return None
    # 18 digits fit the key's 64 bits.
    if row is None and len(str(document)) <= 18:
        row = transaction.row(BY_ID_IN_RUN if within else BY_ID, document_id=int(document), **within)
    return row


def _dossier(transaction: Transaction, row: tuple[Any, ...]) -> Dossier:
    key, run_id, stage, status, error_code, error, english, back_translation, *document = row
    of_document = {"document_id": key}
    english_entities, alignments = ledger_of(transaction.rows(ENTITIES_OF, **of_document))
    found_scores = transaction.row(SCORES_OF, **of_document)
    stored: Document = document_of(document)
    return Dossier(
        document_id=key,
        run=run_from(transaction.rows(RUN_BY_ID, run_id=run_id)[0]),
        document=stored,
        stage=Stage(stage),
        status=status,
        error_code=error_code,
        error=error,
        english=english,
        back_translation=back_translation,
        rounds=in_order(round_of(row[:-1], row[-1]) for row in transaction.rows(ROUNDS_OF, **of_document)),
        english_entities=english_entities,
        alignments=alignments,
        scores=None if found_scores is None else scores_of(found_scores),
        attempts=tuple(Attempt(*attempt) for attempt in transaction.rows(ATTEMPTS_OF, **of_document)),
    )
