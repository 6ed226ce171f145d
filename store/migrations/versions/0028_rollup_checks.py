"""Checks that hold rollups against their readings, and how far each is."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE rollup_checks (
            id uuid DEFAULT uuidv7() PRIMARY KEY,
            requested_by text NOT NULL,
            requested_at timestamptz NOT NULL DEFAULT now(),
            since timestamptz,
            until timestamptz,
            repair boolean NOT NULL,
            day timestamptz,
            after_device uuid,
            compared bigint NOT NULL DEFAULT 0,
            differences bigint NOT NULL DEFAULT 0,
            finished_at timestamptz
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE rollup_checks")
