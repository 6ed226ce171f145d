"""A row of the outbox names the request that changed the depot, and when it did."""

from __future__ import annotations

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # As a default, like the journal's: whatever writes a row names the request that it is in, also the version before.
    op.execute("ALTER TABLE outbox ADD COLUMN request_id text")
    op.execute(
        "ALTER TABLE outbox ALTER COLUMN request_id SET DEFAULT nullif(current_setting('manage.request_id', true), '')"
    )
    # The moment of the change, not the beginning of a transaction that may be long, like an import's.
    op.execute("ALTER TABLE outbox ALTER COLUMN created_at SET DEFAULT clock_timestamp()")


def downgrade() -> None:
    op.execute("ALTER TABLE outbox ALTER COLUMN created_at SET DEFAULT now()")
    op.execute("ALTER TABLE outbox DROP COLUMN request_id")
