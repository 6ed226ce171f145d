"""The journal by time: what is asked of one hour does not read the whole month."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of all partitions, and of those that are made from now on.
    op.execute("CREATE INDEX changes_at ON changes (at)")


def downgrade() -> None:
    op.execute("DROP INDEX changes_at")
