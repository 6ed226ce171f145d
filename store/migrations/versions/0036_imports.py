"""Imports as jobs: the file that was uploaded, how far it is, and the lines that were refused."""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE imports (
            id uuid DEFAULT uuidv7() PRIMARY KEY,
            file_name text NOT NULL,
            size_bytes bigint NOT NULL,
            sha256 text NOT NULL,
            state text NOT NULL,
            requested_by text NOT NULL,
            requested_at timestamptz NOT NULL DEFAULT now(),
            started_at timestamptz,
            finished_at timestamptz,
            failure text,
            bytes_read bigint NOT NULL DEFAULT 0,
            lines bigint NOT NULL DEFAULT 0,
            lines_to_store bigint,
            lines_done bigint NOT NULL DEFAULT 0,
            stored jsonb NOT NULL DEFAULT '{}'::jsonb,
            unchanged bigint,
            refused jsonb NOT NULL DEFAULT '{}'::jsonb,
            reported integer NOT NULL DEFAULT 0,
            stored_upto uuid,
            CONSTRAINT imports_state
                CHECK (state IN ('RUNNING', 'PAUSED', 'COMPLETED', 'CANCELLED', 'FAILED'))
        )
    """)
    op.execute("CREATE INDEX imports_open ON imports (id) WHERE finished_at IS NULL")
    op.execute("""
        CREATE TABLE import_parts (
            import_id uuid NOT NULL CONSTRAINT import_parts_import REFERENCES imports,
            part integer NOT NULL,
            content bytea NOT NULL,
            PRIMARY KEY (import_id, part)
        )
    """)
    op.execute("""
        CREATE TABLE import_refusals (
            import_id uuid NOT NULL CONSTRAINT import_refusals_import REFERENCES imports,
            line bigint NOT NULL,
            code text NOT NULL,
            reason text,
            field text,
            kind text,
            id uuid,
            other_line bigint,
            other_id uuid,
            PRIMARY KEY (import_id, line)
        )
    """)
    op.execute("CREATE INDEX import_refusals_code ON import_refusals (import_id, code, line)")


def downgrade() -> None:
    op.execute("DROP TABLE import_refusals")
    op.execute("DROP TABLE import_parts")
    op.execute("DROP TABLE imports")
