"""What operating needs: priorities of runs, and per document how often its surroundings or the engine failed it.

Revision: 0002
Follows: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OUTCOMES = ("committed", "released", "expired", "retry", "fault", "failed", "cancelled")
COUNTERS = ("retries", "breaks")


def upgrade() -> None:
    """Columns with a default, and one more word that is allowed: programs of 0001 go on working beside it."""
    op.add_column("runs", sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
    for name in COUNTERS:
        op.add_column("documents", sa.Column(name, sa.Integer(), server_default="0", nullable=False))
    _allow((*OUTCOMES, "engine_broken"))


def downgrade() -> None:
    """The new word becomes the nearest old one."""
    op.execute("UPDATE attempts SET outcome = 'released' WHERE outcome = 'engine_broken'")
    _allow(OUTCOMES)
    with op.batch_alter_table("documents") as batch:
        for name in COUNTERS:
            batch.drop_column(name)
    with op.batch_alter_table("runs") as batch:
        batch.drop_column("priority")


def _allow(outcomes: tuple[str, ...]) -> None:
    condition = f"outcome IN ({', '.join(repr(name) for name in outcomes)})"
    with op.batch_alter_table("attempts") as batch:
        batch.drop_constraint(op.f("ck_attempts_outcome"), type_="check")
        batch.create_check_constraint(op.f("ck_attempts_outcome"), condition)
