"""Reviews: entities as a person corrected them, beside those of the model.

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """One table that refers to documents and that nothing refers to: programs of 0003 go on working beside it."""
    op.create_table(
        "reviews",
        sa.Column("id", KEY, nullable=False),
        sa.Column("document_id", sa.BigInteger(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("entities_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name=op.f("fk_reviews_document_id_documents")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
        sa.UniqueConstraint("document_id", "content_sha256", name=op.f("uq_reviews_document_id_content_sha256")),
    )


def downgrade() -> None:
    """The corrections are lost; export them first."""
    op.drop_table("reviews")
