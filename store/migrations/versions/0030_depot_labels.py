"""Depots have a region and tags, by which the list of depots is filtered."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_VIEW = "SELECT id AS depot_id, name AS depot, timezone, provisioning, provisioning_code, created_at"
_EDITED = ("name", "timezone", "allows_simulation")
_LISTED = """
CREATE OR REPLACE FUNCTION depots_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags)
    SELECT id, name, provisioning, name_grams(name), lower(region), lower_all(tags) FROM new_rows;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION depots_relisted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE depot_list AS x
    SET name = n.name, provisioning = n.provisioning,
        grams = CASE WHEN x.name = n.name THEN x.grams ELSE name_grams(n.name) END,
        region = lower(n.region), tags = lower_all(n.tags)
    FROM new_rows AS n
    WHERE x.depot_id = n.id
      AND (x.name, x.provisioning, x.region, x.tags)
          IS DISTINCT FROM (n.name, n.provisioning, lower(n.region), lower_all(n.tags));
    RETURN NULL;
END $$;
"""
# As 0010_fleet_list.py made them.
_LISTED_BEFORE = """
CREATE OR REPLACE FUNCTION depots_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO depot_list (depot_id, name, provisioning, grams)
    SELECT id, name, provisioning, name_grams(name) FROM new_rows;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION depots_relisted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE depot_list AS x
    SET name = n.name, provisioning = n.provisioning,
        grams = CASE WHEN x.name = n.name THEN x.grams ELSE name_grams(n.name) END
    FROM new_rows AS n
    WHERE x.depot_id = n.id AND (x.name, x.provisioning) IS DISTINCT FROM (n.name, n.provisioning);
    RETURN NULL;
END $$;
"""


def upgrade() -> None:
    op.execute("""
        ALTER TABLE depots
            ADD COLUMN region text
                CONSTRAINT depots_region CHECK (btrim(region) <> '' AND char_length(region) <= 100),
            ADD COLUMN tags text[] NOT NULL DEFAULT '{}' CONSTRAINT depots_tags CHECK (cardinality(tags) <= 20)
    """)
    # What is the same in any case is one region, or one tag.
    op.execute("ALTER TABLE depot_list ADD COLUMN region text, ADD COLUMN tags text[] NOT NULL DEFAULT '{}'")
    op.execute("CREATE INDEX depot_list_region ON depot_list (region, name, depot_id)")
    op.execute("CREATE INDEX depot_list_tags ON depot_list USING gin (tags)")
    op.execute("""
        CREATE FUNCTION lower_all(texts text[]) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
            SELECT coalesce(array_agg(lower(each) ORDER BY place), '{}')
            FROM unnest(texts) WITH ORDINALITY AS given (each, place)
        $$
    """)
    for statement in statements(_LISTED):
        op.execute(statement)
    _count_versions_of((*_EDITED, "region", "tags"))
    op.execute(f"CREATE OR REPLACE VIEW reporting.depots AS {_VIEW}, region, tags FROM depots")
    op.execute("COMMENT ON COLUMN reporting.depots.region IS 'The region that it is filed under; null: none'")
    op.execute("COMMENT ON COLUMN reporting.depots.tags IS 'Its tags'")


def downgrade() -> None:
    op.execute("DROP VIEW reporting.depots")
    op.execute(f"CREATE VIEW reporting.depots AS {_VIEW} FROM depots")
    _count_versions_of(_EDITED)
    for statement in statements(_LISTED_BEFORE):
        op.execute(statement)
    op.execute("DROP FUNCTION lower_all")
    op.execute("ALTER TABLE depot_list DROP COLUMN region, DROP COLUMN tags")
    op.execute("ALTER TABLE depots DROP COLUMN region, DROP COLUMN tags")


def _count_versions_of(columns: tuple[str, ...]) -> None:
    """Have the version of a depot count changes of these columns."""
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
    op.execute("DROP TRIGGER depots_version ON depots")
    op.execute(f"""
        CREATE TRIGGER depots_version BEFORE UPDATE ON depots FOR EACH ROW
        WHEN (NEW.version = OLD.version AND ({old}) IS DISTINCT FROM ({new}))
        EXECUTE FUNCTION count_version()
    """)
