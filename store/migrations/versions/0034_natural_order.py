"""The list of depots is in the order in which people count: Depot 2 before Depot 10, in any case, with any accent."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

# A number is its count of digits, then itself: so texts are in the order of numbers. Built-in collations know neither
# numbers nor accents, and ICU's are not in every PostgreSQL.
_KEY = """
CREATE FUNCTION natural_key(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(
        CASE WHEN part[1] ~ '^[0-9]'
            THEN lpad(char_length(ltrim(part[1], '0'))::text, 3, '0') || ltrim(part[1], '0') ELSE part[1] END,
        '' ORDER BY place), '')
    FROM regexp_matches(regexp_replace(normalize(lower(name), NFD), U&'[\\0300-\\036f]', '', 'g'),
                        '[0-9]+|[^0-9]+', 'g') WITH ORDINALITY AS found (part, place)
$$;
"""
_FUNCTIONS = """
CREATE OR REPLACE FUNCTION depots_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags{column})
    SELECT id, name, provisioning, name_grams(name), lower(region), lower_all(tags){value} FROM new_rows;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION depots_relisted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE depot_list AS x
    SET name = n.name, provisioning = n.provisioning,
        grams = CASE WHEN x.name = n.name THEN x.grams ELSE name_grams(n.name) END{change},
        region = lower(n.region), tags = lower_all(n.tags)
    FROM new_rows AS n
    WHERE x.depot_id = n.id
      AND (x.name, x.provisioning, x.region, x.tags)
          IS DISTINCT FROM (n.name, n.provisioning, lower(n.region), lower_all(n.tags));
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION depots_retired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.retired_at IS NOT NULL THEN
        DELETE FROM depot_list WHERE depot_id = NEW.id;
    ELSE
        INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags{column})
        VALUES (NEW.id, NEW.name, NEW.provisioning, name_grams(NEW.name), lower(NEW.region),
                lower_all(NEW.tags){new_value});
        PERFORM settle_freshness(ARRAY[NEW.id]);
    END IF;
    RETURN NULL;
END $$;
"""
_INDEXES = {
    "depot_list_name": "",
    "depot_list_provisioning": "provisioning, ",
    "depot_list_freshness_name": "freshness, ",
    "depot_list_both": "provisioning, freshness, ",
    "depot_list_region": "region, ",
}


def upgrade() -> None:
    _run(_KEY)
    # A default, so that the version before may write while both run; its rows have their key with the next change.
    op.execute("ALTER TABLE depot_list ADD COLUMN sort_key text COLLATE \"C\" NOT NULL DEFAULT ''")
    op.execute("UPDATE depot_list SET sort_key = natural_key(name)")
    _run(
        _FUNCTIONS.format(
            column=", sort_key",
            value=", natural_key(name)",
            new_value=", natural_key(NEW.name)",
            change=",\n        sort_key = CASE WHEN x.name = n.name THEN x.sort_key ELSE natural_key(n.name) END",
        )
    )
    # With the name, so that a search looks through many names without their rows.
    _index_by("sort_key", " INCLUDE (name)")


def downgrade() -> None:
    _index_by("name")
    _run(_FUNCTIONS.format(column="", value="", new_value="", change=""))
    op.execute("ALTER TABLE depot_list DROP COLUMN sort_key")
    op.execute("DROP FUNCTION natural_key")


def _index_by(order: str, more: str = "") -> None:
    for name, filtered in _INDEXES.items():
        op.execute(f"DROP INDEX {name}")
        op.execute(f"CREATE INDEX {name} ON depot_list ({filtered}{order}, depot_id){more}")


def _run(script: str) -> None:
    for statement in statements(script):
        op.execute(statement)
