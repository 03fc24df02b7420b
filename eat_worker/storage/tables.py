"""The tables: names, columns, constraints and indexes, the same on SQLite and PostgreSQL.

Knows the shape of the data and the database's clock; holds no query. `migrations/` creates what is drawn here, and a
test compares the two. Instants are seconds since the epoch, UTC, as the database tells them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Only when its type is exactly INTEGER is a key of SQLite the row's own number, and needs no index beside the table.
Key = BigInteger().with_variant(Integer(), "sqlite")


class now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function that it is
    """The database's clock, in seconds since the epoch. Leases are never compared with a worker's clock."""

    type = Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_on_sqlite(_element: now, _compiler: Any, **_options: Any) -> str:
    # unixepoch('subsec') needs SQLite 3.42, and Debian 12 has 3.40; a Julian day in a double is good to 0.05 ms.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_on_postgresql(_element: now, _compiler: Any, **_options: Any) -> str:
    # clock_timestamp() and not now(): a transaction that waited for a lock must see the time after the wait.
    return "extract(epoch from clock_timestamp())::double precision"


def _partial(name: str, *columns: str, where: str) -> Index:
    """An index over a part of the table; both databases use it when a query states `where` word for word."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


models = Table(
    "models",
    METADATA,
    Column("id", Key, primary_key=True),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("spec_json", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

runs = Table(
    "runs",
    METADATA,
    Column("id", Key, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("lang", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("config_json", Text, nullable=False),
    Column("queues_json", Text, nullable=False),
    Column("model_id", BigInteger, ForeignKey("models.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),  # higher first
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    CheckConstraint("state IN ('open', 'paused', 'cancelled', 'complete')", name="state"),
)

prompts = Table(
    "prompts",
    METADATA,
    Column("id", Key, primary_key=True),
    Column("sha256", Text, nullable=False, unique=True),
    Column("stage", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("template", Text, nullable=False),
    Column("set_name", Text, nullable=False),
)

documents = Table(
    "documents",
    METADATA,
    Column("id", Key, primary_key=True),
    Column("run_id", BigInteger, ForeignKey("runs.id"), nullable=False),
    Column("ext_id", Text),
    Column("content_sha256", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),  # the fencing token: grows with every claim
    Column("faults", Integer, nullable=False, server_default="0"),  # failures that lie in the document itself
    # Since the last commit: leases that ran out, surroundings that failed, engines that broke with it in hand.
    Column("expiries", Integer, nullable=False, server_default="0"),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("breaks", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    Column("lease_until", Double),
    Column("hinted_at", Double),
    Column("not_before", Double),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("error_code", Text),
    # What the rounds add up to, written when the document ends, so that no report reads the rounds.
    Column("round_count", Integer),
    Column("round_seconds", Double),
    Column("prompt_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("generated_tokens", Integer),
    # The long values stand last: SQLite then finds the short ones on a row's first page.
    Column("gold_json", Text),
    Column("error", Text),
    Column("text", Text, nullable=False),
    Column("english", Text),
    Column("back_translation", Text),
    Column("meta_json", Text),
    UniqueConstraint("run_id", "content_sha256"),
    CheckConstraint("status IN ('queued', 'running', 'done', 'skipped', 'failed', 'cancelled')", name="status"),
    # A lease without an end would never expire, because NULL is never smaller than now.
    CheckConstraint("status <> 'running' OR (lease_until IS NOT NULL AND lease_owner IS NOT NULL)", name="lease"),
    Index("ix_documents_counts", "run_id", "status", "dataset", "lang", "error_code"),
    # Ordered by created_at and not by id alone: PostgreSQL would then walk the primary key past every ended document.
    _partial("ix_documents_queue", "run_id", "stage", "created_at", "id", where="status = 'queued'"),
    _partial("ix_documents_hints", "hinted_at", where="status = 'queued' AND hinted_at IS NOT NULL"),
    # Without lease_until: a heartbeat then changes no index.
    _partial("ix_documents_leases", "run_id", where="status = 'running'"),
    _partial("ix_documents_ext_id", "ext_id", where="ext_id IS NOT NULL"),
    _partial(
        "ix_documents_usage",
        "run_id",
        "dataset",
        "lang",
        "finished_at",
        "round_count",
        "round_seconds",
        "prompt_tokens",
        "cached_tokens",
        "generated_tokens",
        where="finished_at IS NOT NULL",
    ),
)

# WITHOUT ROWID and document_id first: all of a document's rows lie side by side. No ON DELETE CASCADE on anything
# that is evidence: a table rebuilt by a migration would take these rows with it, and say nothing.
rounds = Table(
    "rounds",
    METADATA,
    Column("document_id", BigInteger, ForeignKey("documents.id"), primary_key=True, autoincrement=False),
    Column("stage", Text, primary_key=True),
    Column("entity", Integer, primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, nullable=False),
    Column("prompt_id", BigInteger, ForeignKey("prompts.id"), nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("generated_tokens", Integer, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("finish_reason", Text, nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("logprob", Double),
    Column("flags_json", Text),
    Column("created_at", Double, nullable=False),
    Column("variables_json", Text, nullable=False),
    Column("output", Text, nullable=False),
    sqlite_with_rowid=False,
)

entities = Table(
    "entities",
    METADATA,
    Column("document_id", BigInteger, ForeignKey("documents.id"), primary_key=True, autoincrement=False),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    # What the extractor said ...
    Column("words", Text, nullable=False),
    Column("tag", Text, nullable=False),
    Column("english_start", Integer),
    Column("english_end", Integer),
    Column("fault", Text),
    # ... and what became of it in the document's own text; `outcome` is NULL until it is aligned.
    Column("outcome", Text),
    Column("text_start", Integer),
    Column("text_end", Integer),
    Column("via", Text),
    Column("answer", Text),
    Column("confidence", Double),
    CheckConstraint("(english_start IS NULL) = (english_end IS NULL)", name="english_span"),
    CheckConstraint("(text_start IS NULL) = (text_end IS NULL)", name="text_span"),
    sqlite_with_rowid=False,
)

COUNTS = tuple(f"{scorer}_{count}" for scorer in ("strict", "official", "span") for count in ("tp", "fp", "fn"))
BLEU_STATS = (
    *(f"bleu_correct_{n}" for n in (1, 2, 3, 4)),
    *(f"bleu_total_{n}" for n in (1, 2, 3, 4)),
    "bleu_candidate_length",
    "bleu_reference_length",
)

scores = Table(
    "scores",
    METADATA,
    Column("document_id", Key, ForeignKey("documents.id"), primary_key=True, autoincrement=False),
    *(Column(name, Integer) for name in COUNTS),
    Column("per_tag_json", Text),
    Column("bleu", Double),
    Column("bleu_signature", Text),
    *(Column(name, Integer) for name in BLEU_STATS),
    Column("entropy_loss", Double),
)

attempts = Table(
    "attempts",
    METADATA,
    Column("document_id", BigInteger, ForeignKey("documents.id"), primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("stage", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("outcome", Text),
    Column("error", Text),
    CheckConstraint(
        "outcome IN ('committed', 'released', 'expired', 'retry', 'fault', 'failed', 'cancelled', 'engine_broken')",
        name="outcome",
    ),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    METADATA,
    Column("id", Key, primary_key=True),
    Column("run_id", BigInteger, ForeignKey("runs.id")),
    Column("document_id", BigInteger, ForeignKey("documents.id")),
    Column("at", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail_json", Text),
    Index(None, "run_id", "at"),
)

# One row per worker process, for ever: who held a lease is asked after it has ended, too.
workers = Table(
    "workers",
    METADATA,
    Column("id", Key, primary_key=True),
    Column("name", Text, nullable=False),  # as in lease_owner and attempts.worker; not unique
    Column("host", Text, nullable=False),
    Column("process", BigInteger, nullable=False),
    # Clock ticks between boot and the start of the process: a later process may have the same number.
    Column("process_started", BigInteger),
    Column("boot", Text),  # which boot of the machine, and which of its process namespaces, the numbers belong to
    Column("queues_json", Text, nullable=False),
    Column("fingerprints_json", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("last_heartbeat", Double, nullable=False),
    Column("ended_at", Double),
)
