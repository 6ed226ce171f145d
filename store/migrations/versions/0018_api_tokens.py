"""API tokens: what scripts and CI prove with who made them."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE api_tokens (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL CONSTRAINT api_tokens_name CHECK (btrim(name) <> '' AND char_length(name) <= 200),
    owner_id uuid CONSTRAINT api_tokens_owner REFERENCES people (id) ON DELETE CASCADE,
    owner text NOT NULL,
    digest bytea NOT NULL CONSTRAINT api_tokens_digest UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX api_tokens_owner_id ON api_tokens (owner_id, id);
-- What somebody follows with a token that is revoked ends. A token that is only used changes nothing.
CREATE TRIGGER api_tokens_changed AFTER DELETE ON api_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION access_changed();
"""


def upgrade() -> None:
    for statement in statements(_UP):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DELETE FROM grants WHERE kind = 'program' AND subject IN (SELECT 'token#' || id FROM api_tokens)")
    op.execute("DROP TABLE api_tokens")
