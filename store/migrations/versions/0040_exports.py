"""Exports as jobs: what was selected, how far the file is, and the file."""

from __future__ import annotations

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE exports (
            id uuid DEFAULT uuidv7() PRIMARY KEY,
            kind text NOT NULL,
            file_format text NOT NULL,
            since timestamptz NOT NULL,
            until timestamptz NOT NULL,
            depot_id uuid,
            device_ids uuid[] NOT NULL,
            measurands text[] NOT NULL,
            within uuid[],
            state text NOT NULL,
            requested_by text NOT NULL,
            requested_at timestamptz NOT NULL DEFAULT now(),
            started_at timestamptz,
            finished_at timestamptz,
            failure text,
            done_until timestamptz,
            slice_seconds double precision,
            rows_done bigint NOT NULL DEFAULT 0,
            size_bytes bigint NOT NULL DEFAULT 0,
            expires_at timestamptz,
            CONSTRAINT exports_state
                CHECK (state IN ('RUNNING', 'PAUSED', 'COMPLETED', 'CANCELLED', 'FAILED'))
        )
    """)
    op.execute("CREATE INDEX exports_open ON exports (id) WHERE finished_at IS NULL")
    op.execute("CREATE INDEX exports_requested_by ON exports (requested_by, id)")
    op.execute("""
        CREATE TABLE export_parts (
            export_id uuid NOT NULL CONSTRAINT export_parts_export REFERENCES exports,
            starts_at bigint NOT NULL,
            content bytea NOT NULL,
            PRIMARY KEY (export_id, starts_at)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE export_parts")
    op.execute("DROP TABLE exports")
