"""Where a finished page of a backfill ends, so that its outcomes are listed once nothing before them is missing."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE backfill_pages ADD COLUMN upto uuid")


def downgrade() -> None:
    op.execute("ALTER TABLE backfill_pages DROP COLUMN upto")
