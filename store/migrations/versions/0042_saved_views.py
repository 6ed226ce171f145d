"""Saved views: what the address of the list of depots says, kept by a person under a name."""

from __future__ import annotations

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE saved_views (
            id uuid DEFAULT uuidv7() PRIMARY KEY,
            owner_id uuid CONSTRAINT saved_views_owner REFERENCES people (id) ON DELETE CASCADE,
            name text NOT NULL
                CONSTRAINT saved_views_name CHECK (btrim(name) <> '' AND char_length(name) <= 200),
            filters jsonb NOT NULL,
            version bigint NOT NULL DEFAULT 1,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    # Without an owner it is the local administrator's.
    op.execute("CREATE UNIQUE INDEX saved_views_once ON saved_views (owner_id, lower(name)) NULLS NOT DISTINCT")


def downgrade() -> None:
    op.execute("DROP TABLE saved_views")
