"""Grants: who has which role, at one depot or at all of them; and a channel on which it is told that rights changed."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE grants (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    kind text NOT NULL CONSTRAINT grants_kind CHECK (kind IN ('person', 'group', 'program')),
    subject text NOT NULL
        CONSTRAINT grants_subject CHECK (btrim(subject) <> '' AND char_length(subject) <= 1000),
    name text NOT NULL CONSTRAINT grants_name CHECK (btrim(name) <> '' AND char_length(name) <= 200),
    role text NOT NULL CONSTRAINT grants_role CHECK (
        role IN ('viewer', 'operator', 'configurator', 'qa', 'administrator', 'auditor', 'gateway')
    ),
    depot_id uuid CONSTRAINT grants_depot REFERENCES depots (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    CONSTRAINT grants_once UNIQUE NULLS NOT DISTINCT (kind, subject, role, depot_id)
);
CREATE INDEX grants_depot_id ON grants (depot_id);

-- For every table that decides who may do what.
CREATE FUNCTION access_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('manage_access', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER grants_changed AFTER INSERT OR UPDATE OR DELETE ON grants
    FOR EACH STATEMENT EXECUTE FUNCTION access_changed();
"""

_DOWN = """
DROP TABLE grants;
DROP FUNCTION access_changed();
"""


def upgrade() -> None:
    for statement in statements(_UP):
        op.execute(statement)


def downgrade() -> None:
    for statement in statements(_DOWN):
        op.execute(statement)
