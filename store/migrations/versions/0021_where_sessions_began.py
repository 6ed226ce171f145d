"""From where somebody signed in; of the sessions that are open already it is not known."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE sessions ADD COLUMN client text")
    op.execute(
        "ALTER TABLE sessions ALTER COLUMN client SET DEFAULT nullif(current_setting('manage.client', true), '')"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE sessions DROP COLUMN client")
