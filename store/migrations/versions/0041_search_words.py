"""The list of depots is searched by words without accents, in the name and at the beginning of labels."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

# Letters that are not composed of another one and an accent, but are read as such. Before each label, and each of its
# words, stands a character that no text has (a unit separator): so their beginnings are found.
_FUNCTIONS = r"""
CREATE FUNCTION fold(given text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT translate(replace(replace(replace(
        lower(regexp_replace(normalize(lower(given), NFKD), U&'[\0300-\036f]', '', 'g')),
        U&'\00df', 'ss'), U&'\00e6', 'ae'), U&'\0153', 'oe'), U&'\00f8\0142\0111\0131', 'oldi')
$$;
CREATE FUNCTION fold_labels(labels text[]) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(chr(31) || part, '' ORDER BY part COLLATE "C"), '')
    FROM (
        SELECT fold(label) AS part FROM unnest(labels) AS given (label) WHERE label IS NOT NULL
        UNION
        SELECT regexp_split_to_table(fold(label), '[/_ -]+') FROM unnest(labels) AS given (label)
        WHERE label IS NOT NULL
    ) AS parts
$$;
CREATE FUNCTION part_pattern(part text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT '%' || regexp_replace(part, '([\\%_])', '\\\1', 'g') || '%'
$$;
CREATE FUNCTION depot_grams(name text, labels text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT name_grams(name || chr(31) || fold(name) || labels)
$$;
"""
_LISTED = """
CREATE OR REPLACE FUNCTION depots_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags, sort_key, timezone, words, labels)
    SELECT id, name, provisioning, depot_grams(name, l.labels), lower(region), lower_all(tags), natural_key(name),
           timezone, fold(name), l.labels
    FROM new_rows CROSS JOIN LATERAL (SELECT fold_labels(ARRAY[timezone, region] || tags) AS labels) AS l;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION depots_relisted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE depot_list AS x
    SET provisioning = n.provisioning FROM new_rows AS n
    WHERE x.depot_id = n.id AND x.provisioning IS DISTINCT FROM n.provisioning;
    UPDATE depot_list AS x
    SET name = n.name, grams = depot_grams(n.name, l.labels), sort_key = natural_key(n.name),
        region = lower(n.region), tags = lower_all(n.tags), timezone = n.timezone, words = fold(n.name),
        labels = l.labels
    FROM new_rows AS n
    CROSS JOIN LATERAL (SELECT fold_labels(ARRAY[n.timezone, n.region] || n.tags) AS labels) AS l
    WHERE x.depot_id = n.id
      AND (x.name, x.region, x.tags, x.timezone)
          IS DISTINCT FROM (n.name, lower(n.region), lower_all(n.tags), n.timezone);
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION depots_retired() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own text := fold_labels(ARRAY[NEW.timezone, NEW.region] || NEW.tags);
BEGIN
    IF NEW.retired_at IS NOT NULL THEN
        DELETE FROM depot_list WHERE depot_id = NEW.id;
    ELSE
        INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags, sort_key, timezone, words, labels)
        VALUES (NEW.id, NEW.name, NEW.provisioning, depot_grams(NEW.name, own), lower(NEW.region),
                lower_all(NEW.tags), natural_key(NEW.name), NEW.timezone, fold(NEW.name), own);
        PERFORM settle_freshness(ARRAY[NEW.id]);
    END IF;
    RETURN NULL;
END $$;
"""
# As 0039_depot_ranks.py made them.
_LISTED_BEFORE = """
CREATE OR REPLACE FUNCTION depots_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags, sort_key, timezone)
    SELECT id, name, provisioning, name_grams(name), lower(region), lower_all(tags), natural_key(name), timezone
    FROM new_rows;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION depots_relisted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE depot_list AS x
    SET name = n.name, provisioning = n.provisioning,
        grams = CASE WHEN x.name = n.name THEN x.grams ELSE name_grams(n.name) END,
        sort_key = CASE WHEN x.name = n.name THEN x.sort_key ELSE natural_key(n.name) END,
        region = lower(n.region), tags = lower_all(n.tags), timezone = n.timezone
    FROM new_rows AS n
    WHERE x.depot_id = n.id
      AND (x.name, x.provisioning, x.region, x.tags, x.timezone)
          IS DISTINCT FROM (n.name, n.provisioning, lower(n.region), lower_all(n.tags), n.timezone);
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION depots_retired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.retired_at IS NOT NULL THEN
        DELETE FROM depot_list WHERE depot_id = NEW.id;
    ELSE
        INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags, sort_key, timezone)
        VALUES (NEW.id, NEW.name, NEW.provisioning, name_grams(NEW.name), lower(NEW.region),
                lower_all(NEW.tags), natural_key(NEW.name), NEW.timezone);
        PERFORM settle_freshness(ARRAY[NEW.id]);
    END IF;
    RETURN NULL;
END $$;
"""


def upgrade() -> None:
    op.execute("""
        ALTER TABLE depot_list ADD COLUMN words text NOT NULL DEFAULT '', ADD COLUMN labels text NOT NULL DEFAULT ''
    """)
    _run(_FUNCTIONS)
    op.execute("""
        UPDATE depot_list AS x SET words = fold(x.name), labels = l.labels, grams = depot_grams(x.name, l.labels)
        FROM depots AS d
        CROSS JOIN LATERAL (SELECT fold_labels(ARRAY[d.timezone, d.region] || d.tags) AS labels) AS l
        WHERE d.id = x.depot_id
    """)
    _run(_LISTED)
    op.execute("CREATE INDEX devices_sensor_id ON devices (lower(sensor_id), depot_id)")


def downgrade() -> None:
    op.execute("DROP INDEX devices_sensor_id")
    _run(_LISTED_BEFORE)
    op.execute("UPDATE depot_list SET grams = name_grams(name)")
    op.execute("DROP FUNCTION depot_grams")
    op.execute("DROP FUNCTION part_pattern")
    op.execute("DROP FUNCTION fold_labels")
    op.execute("DROP FUNCTION fold")
    op.execute("ALTER TABLE depot_list DROP COLUMN words, DROP COLUMN labels")


def _run(script: str) -> None:
    for statement in statements(script):
        op.execute(statement)
