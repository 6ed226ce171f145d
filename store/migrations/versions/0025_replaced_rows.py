"""What rows of a site were before they were changed or deleted: what its structure was at any moment."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# The columns of each table that say nothing of what it shows: a row in which only they differ is the same one.
_TABLES = {
    "circuits": (),
    "devices": (),
    "gateways": (),
    "power_sources": (),
    "sensor_actions": (),
    "freshness_thresholds": (),
    "microgrids": ("synced_at", "updated_at", "updated_by"),
    "microgrid_nodes": (),
}

_MAKE = """
CREATE TABLE replaced_rows (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    depot_id uuid NOT NULL,
    source text NOT NULL,
    row_key text NOT NULL,
    replaced_at timestamptz NOT NULL DEFAULT now(),
    content jsonb NOT NULL
);
CREATE INDEX replaced_rows_depot_id ON replaced_rows (depot_id, replaced_at);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON replaced_rows FOR EACH ROW EXECUTE FUNCTION append_only();
SELECT forbid_changes('replaced_rows');

-- Existing nodes are as old as their microgrid, as far as anybody knows.
ALTER TABLE microgrid_nodes ADD COLUMN created_at timestamptz;
ALTER TABLE microgrid_nodes ALTER COLUMN created_at SET DEFAULT now();

-- From when on the structure of a moment can be told.
CREATE TABLE replaced_rows_kept (since timestamptz NOT NULL);
INSERT INTO replaced_rows_kept VALUES (now());
SELECT forbid_changes('replaced_rows_kept');

-- The arguments: columns that do not count.
CREATE FUNCTION keep_replaced_rows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ignored text[] := coalesce(TG_ARGV, '{}');
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO replaced_rows (depot_id, source, row_key, content)
        SELECT coalesce((o.content ->> 'depot_id')::uuid, m.depot_id), TG_TABLE_NAME, o.key, o.content
        FROM (SELECT to_jsonb(r) AS content, key_of_row(to_jsonb(r)) AS key FROM old_rows AS r) AS o
        JOIN (SELECT to_jsonb(r) AS content, key_of_row(to_jsonb(r)) AS key FROM new_rows AS r) AS n ON n.key = o.key
        LEFT JOIN microgrids AS m ON m.id = (o.content ->> 'microgrid_id')::uuid
        WHERE o.content - ignored <> n.content - ignored;
    ELSE
        INSERT INTO replaced_rows (depot_id, source, row_key, content)
        SELECT coalesce((o.content ->> 'depot_id')::uuid, m.depot_id), TG_TABLE_NAME, o.key, o.content
        FROM (SELECT to_jsonb(r) AS content, key_of_row(to_jsonb(r)) AS key FROM old_rows AS r) AS o
        LEFT JOIN microgrids AS m ON m.id = (o.content ->> 'microgrid_id')::uuid;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION key_of_row(content jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(content ->> 'id', (content ->> 'microgrid_id') || ' ' || (content ->> 'capability'))
$$;
"""


def upgrade() -> None:
    for statement in statements(_MAKE):
        op.execute(statement)
    for table, ignored in _TABLES.items():
        arguments = ", ".join(f"'{column}'" for column in ignored)
        op.execute(f"""
            CREATE TRIGGER {table}_replaced AFTER UPDATE ON {table}
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION keep_replaced_rows({arguments})
        """)
        op.execute(f"""
            CREATE TRIGGER {table}_gone AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows
            FOR EACH STATEMENT EXECUTE FUNCTION keep_replaced_rows({arguments})
        """)


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"DROP TRIGGER {table}_replaced ON {table}")
        op.execute(f"DROP TRIGGER {table}_gone ON {table}")
    op.execute("DROP FUNCTION keep_replaced_rows()")
    op.execute("DROP FUNCTION key_of_row(jsonb)")
    op.execute("ALTER TABLE microgrid_nodes DROP COLUMN created_at")
    op.execute("DROP TABLE replaced_rows, replaced_rows_kept")
