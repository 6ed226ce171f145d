"""What rows of a site were before they were changed or deleted: what its structure was at any moment."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_TABLES = (
    "circuits",
    "devices",
    "gateways",
    "power_sources",
    "sensor_actions",
    "freshness_thresholds",
    "microgrids",
    "microgrid_nodes",
)
# A microgrid in which nothing else differs, such as when it was synced, is the same one.
_OF_MICROGRIDS = ("version", "retired_at")

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

-- A row at a time: a plan for all rows of a statement, made when they were few, would be kept for when they are many.
CREATE FUNCTION keep_replaced_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was jsonb := to_jsonb(OLD);
BEGIN
    INSERT INTO replaced_rows (depot_id, source, row_key, content)
    VALUES (
        coalesce(
            (was ->> 'depot_id')::uuid,
            (SELECT m.depot_id FROM microgrids AS m WHERE m.id = (was ->> 'microgrid_id')::uuid)
        ),
        TG_TABLE_NAME,
        coalesce(was ->> 'id', (was ->> 'microgrid_id') || ' ' || (was ->> 'capability')),
        was
    );
    RETURN NULL;
END $$;
"""


def upgrade() -> None:
    for statement in statements(_MAKE):
        op.execute(statement)
    for table in _TABLES:
        was, now = "OLD.*", "NEW.*"
        if table == "microgrids":
            was, now = (f"({', '.join(f'{row}.{column}' for column in _OF_MICROGRIDS)})" for row in ("OLD", "NEW"))
        op.execute(f"""
            CREATE TRIGGER {table}_replaced AFTER UPDATE ON {table} FOR EACH ROW
            WHEN ({was} IS DISTINCT FROM {now}) EXECUTE FUNCTION keep_replaced_row()
        """)
        op.execute(f"""
            CREATE TRIGGER {table}_gone AFTER DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION keep_replaced_row()
        """)


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"DROP TRIGGER {table}_replaced ON {table}")
        op.execute(f"DROP TRIGGER {table}_gone ON {table}")
    op.execute("DROP FUNCTION keep_replaced_row()")
    op.execute("ALTER TABLE microgrid_nodes DROP COLUMN created_at")
    op.execute("DROP TABLE replaced_rows, replaced_rows_kept")
