"""The first tables: models, runs, prompts, documents and what is recorded about them.

Revision: 0001
Follows: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Parents before children."""
    _models()
    _prompts()
    _runs()
    _documents()
    _attempts()
    _entities()
    _events()
    _rounds()
    _scores()


def downgrade() -> None:
    """Children before parents."""
    for name in ("scores", "rounds", "events", "entities", "attempts", "documents", "runs", "prompts", "models"):
        op.drop_table(name)


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("id", KEY, nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("spec_json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_models_fingerprint")),
    )


def _prompts() -> None:
    op.create_table(
        "prompts",
        sa.Column("id", KEY, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("set_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
        sa.UniqueConstraint("sha256", name=op.f("uq_prompts_sha256")),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("lang", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("config_json", sa.Text(), nullable=False),
        sa.Column("queues_json", sa.Text(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'paused', 'cancelled', 'complete')", name=op.f("ck_runs_state")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_runs_model_id_models")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("name", name=op.f("uq_runs_name")),
    )


def _documents() -> None:
    op.create_table(
        "documents",
        sa.Column("id", KEY, nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("ext_id", sa.Text(), nullable=True),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("lang", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("faults", sa.Integer(), server_default="0", nullable=False),
        sa.Column("expiries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("hinted_at", sa.Double(), nullable=True),
        sa.Column("not_before", sa.Double(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("round_count", sa.Integer(), nullable=True),
        sa.Column("round_seconds", sa.Double(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("cached_tokens", sa.Integer(), nullable=True),
        sa.Column("generated_tokens", sa.Integer(), nullable=True),
        sa.Column("gold_json", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("english", sa.Text(), nullable=True),
        sa.Column("back_translation", sa.Text(), nullable=True),
        sa.Column("meta_json", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status <> 'running' OR (lease_until IS NOT NULL AND lease_owner IS NOT NULL)",
            name=op.f("ck_documents_lease"),
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'skipped', 'failed', 'cancelled')",
            name=op.f("ck_documents_status"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_documents_run_id_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint("run_id", "content_sha256", name=op.f("uq_documents_run_id_content_sha256")),
    )
    op.create_index(
        "ix_documents_counts", "documents", ["run_id", "status", "dataset", "lang", "error_code"], unique=False
    )
    op.create_index(
        "ix_documents_ext_id",
        "documents",
        ["ext_id"],
        unique=False,
        sqlite_where=sa.text("ext_id IS NOT NULL"),
        postgresql_where=sa.text("ext_id IS NOT NULL"),
    )
    op.create_index(
        "ix_documents_hints",
        "documents",
        ["hinted_at"],
        unique=False,
        sqlite_where=sa.text("status = 'queued' AND hinted_at IS NOT NULL"),
        postgresql_where=sa.text("status = 'queued' AND hinted_at IS NOT NULL"),
    )
    op.create_index(
        "ix_documents_leases",
        "documents",
        ["run_id"],
        unique=False,
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "ix_documents_queue",
        "documents",
        ["run_id", "stage", "created_at", "id"],
        unique=False,
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "ix_documents_usage",
        "documents",
        [
            "run_id",
            "dataset",
            "lang",
            "finished_at",
            "round_count",
            "round_seconds",
            "prompt_tokens",
            "cached_tokens",
            "generated_tokens",
        ],
        unique=False,
        sqlite_where=sa.text("finished_at IS NOT NULL"),
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("document_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('committed', 'released', 'expired', 'retry', 'fault', 'failed', 'cancelled')",
            name=op.f("ck_attempts_outcome"),
        ),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name=op.f("fk_attempts_document_id_documents")),
        sa.PrimaryKeyConstraint("document_id", "attempt", name=op.f("pk_attempts")),
        sqlite_with_rowid=False,
    )


def _entities() -> None:
    op.create_table(
        "entities",
        sa.Column("document_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("english_start", sa.Integer(), nullable=True),
        sa.Column("english_end", sa.Integer(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("text_start", sa.Integer(), nullable=True),
        sa.Column("text_end", sa.Integer(), nullable=True),
        sa.Column("via", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.CheckConstraint("(english_start IS NULL) = (english_end IS NULL)", name=op.f("ck_entities_english_span")),
        sa.CheckConstraint("(text_start IS NULL) = (text_end IS NULL)", name=op.f("ck_entities_text_span")),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name=op.f("fk_entities_document_id_documents")),
        sa.PrimaryKeyConstraint("document_id", "idx", name=op.f("pk_entities")),
        sqlite_with_rowid=False,
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", KEY, nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("document_id", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail_json", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name=op.f("fk_events_document_id_documents")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_events_run_id_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_run_id_at"), "events", ["run_id", "at"], unique=False)


def _rounds() -> None:
    op.create_table(
        "rounds",
        sa.Column("document_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("entity", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("prompt_id", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_tokens", sa.Integer(), nullable=False),
        sa.Column("generated_tokens", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("finish_reason", sa.Text(), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("logprob", sa.Double(), nullable=True),
        sa.Column("flags_json", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("variables_json", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name=op.f("fk_rounds_document_id_documents")),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_rounds_prompt_id_prompts")),
        sa.PrimaryKeyConstraint("document_id", "stage", "entity", "round", name=op.f("pk_rounds")),
        sqlite_with_rowid=False,
    )


def _scores() -> None:
    op.create_table(
        "scores",
        sa.Column("document_id", KEY, autoincrement=False, nullable=False),
        sa.Column("strict_tp", sa.Integer(), nullable=True),
        sa.Column("strict_fp", sa.Integer(), nullable=True),
        sa.Column("strict_fn", sa.Integer(), nullable=True),
        sa.Column("official_tp", sa.Integer(), nullable=True),
        sa.Column("official_fp", sa.Integer(), nullable=True),
        sa.Column("official_fn", sa.Integer(), nullable=True),
        sa.Column("span_tp", sa.Integer(), nullable=True),
        sa.Column("span_fp", sa.Integer(), nullable=True),
        sa.Column("span_fn", sa.Integer(), nullable=True),
        sa.Column("per_tag_json", sa.Text(), nullable=True),
        sa.Column("bleu", sa.Double(), nullable=True),
        sa.Column("bleu_signature", sa.Text(), nullable=True),
        sa.Column("bleu_correct_1", sa.Integer(), nullable=True),
        sa.Column("bleu_correct_2", sa.Integer(), nullable=True),
        sa.Column("bleu_correct_3", sa.Integer(), nullable=True),
        sa.Column("bleu_correct_4", sa.Integer(), nullable=True),
        sa.Column("bleu_total_1", sa.Integer(), nullable=True),
        sa.Column("bleu_total_2", sa.Integer(), nullable=True),
        sa.Column("bleu_total_3", sa.Integer(), nullable=True),
        sa.Column("bleu_total_4", sa.Integer(), nullable=True),
        sa.Column("bleu_candidate_length", sa.Integer(), nullable=True),
        sa.Column("bleu_reference_length", sa.Integer(), nullable=True),
        sa.Column("entropy_loss", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name=op.f("fk_scores_document_id_documents")),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_scores")),
    )
