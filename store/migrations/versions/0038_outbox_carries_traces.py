"""A row of the outbox carries the trace of the request that changed the depot."""

from __future__ import annotations

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE outbox ADD COLUMN traceparent text")
    carried = "nullif(current_setting('manage.traceparent', true), '')"
    op.execute(f"ALTER TABLE outbox ALTER COLUMN traceparent SET DEFAULT {carried}")


def downgrade() -> None:
    op.execute("ALTER TABLE outbox DROP COLUMN traceparent")
