"""The list of depots and its counts, kept: as they are filtered, searched and counted, at any size of the fleet."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TABLES = """
-- Single characters and pairs of them: what any search, also one of one letter, is looked up by.
CREATE FUNCTION name_grams(name text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(lower(name), place, size)), '{}')
    FROM generate_series(1, 2) AS size, generate_series(1, char_length(lower(name)) - size + 1) AS place
$$;

-- Of a search: pairs of characters where it has any, for single ones are in nearly every name.
CREATE FUNCTION search_grams(search text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(gram), '{}') FROM unnest(name_grams(search)) AS gram
    WHERE char_length(gram) = least(2, char_length(lower(search)))
$$;

CREATE TABLE depot_list (
    depot_id uuid PRIMARY KEY CONSTRAINT depot_list_depot REFERENCES depots (id) ON DELETE CASCADE,
    name text NOT NULL,
    provisioning text NOT NULL,
    freshness text NOT NULL DEFAULT 'NONE'
        CONSTRAINT depot_list_freshness CHECK (freshness IN ('NONE', 'STALE', 'FRESH')),
    grams text[] NOT NULL
);
CREATE TABLE fresh_depots (
    depot_id uuid PRIMARY KEY CONSTRAINT fresh_depots_depot REFERENCES depot_list (depot_id) ON DELETE CASCADE,
    fresh_until timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE depot_counts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provisioning text NOT NULL,
    freshness text NOT NULL,
    depots bigint NOT NULL
);
"""

_INDEXES = """
CREATE INDEX depot_list_name ON depot_list (name, depot_id);
CREATE INDEX depot_list_provisioning ON depot_list (provisioning, name, depot_id);
CREATE INDEX depot_list_freshness_name ON depot_list (freshness, name, depot_id);
CREATE INDEX depot_list_both ON depot_list (provisioning, freshness, name, depot_id);
CREATE INDEX depot_list_grams ON depot_list USING gin (grams);
CREATE INDEX fresh_depots_fresh_until ON fresh_depots (fresh_until);
ANALYZE depot_list;
"""

# Counts are sums of differences: a row that all writers change would have each wait for the others' commits.
_COUNTS = """
CREATE FUNCTION depot_list_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO depot_counts (provisioning, freshness, depots)
    SELECT provisioning, freshness, count(*) FROM new_rows GROUP BY provisioning, freshness;
    RETURN NULL;
END $$;

CREATE FUNCTION depot_list_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO depot_counts (provisioning, freshness, depots)
    SELECT provisioning, freshness, -count(*) FROM old_rows GROUP BY provisioning, freshness;
    RETURN NULL;
END $$;

CREATE FUNCTION depot_list_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO depot_counts (provisioning, freshness, depots)
    SELECT provisioning, freshness, sum(one) FROM (
        SELECT provisioning, freshness, 1 AS one FROM new_rows
        UNION ALL SELECT provisioning, freshness, -1 FROM old_rows
    ) AS moved
    GROUP BY provisioning, freshness HAVING sum(one) <> 0;
    RETURN NULL;
END $$;

CREATE TRIGGER depot_list_inserted AFTER INSERT ON depot_list
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION depot_list_inserted();
CREATE TRIGGER depot_list_deleted AFTER DELETE ON depot_list
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION depot_list_deleted();
CREATE TRIGGER depot_list_updated AFTER UPDATE ON depot_list
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION depot_list_updated();

CREATE FUNCTION depots_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO depot_list (depot_id, name, provisioning, grams)
    SELECT id, name, provisioning, name_grams(name) FROM new_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION depots_relisted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE depot_list AS x
    SET name = n.name, provisioning = n.provisioning,
        grams = CASE WHEN x.name = n.name THEN x.grams ELSE name_grams(n.name) END
    FROM new_rows AS n
    WHERE x.depot_id = n.id AND (x.name, x.provisioning) IS DISTINCT FROM (n.name, n.provisioning);
    RETURN NULL;
END $$;

CREATE TRIGGER depots_listed AFTER INSERT ON depots
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION depots_listed();
CREATE TRIGGER depots_relisted AFTER UPDATE ON depots
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION depots_relisted();
"""

# The rule is that of store/monitoring/freshness.py for a whole depot; a test holds them together.
_FRESHNESS = """
CREATE FUNCTION depot_fresh_until(wanted uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN count(l.status) < count(*) THEN NULL
                WHEN bool_or(o.sensor_action_id IS NULL) THEN CAST('-infinity' AS timestamptz)
                ELSE min(least(l.observed_at, l.received_at)
                         + coalesce(make_interval(secs => t.seconds), k.threshold)) END
    FROM (VALUES ('PEAK_SHAVING', interval '5 minutes'), ('DER', interval '5 minutes')) AS k (capability, threshold)
    LEFT JOIN microgrids AS m ON m.depot_id = wanted AND m.retired_at IS NULL
    LEFT JOIN capability_latest AS l ON l.microgrid_id = m.id AND l.capability = k.capability
    LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = k.capability
    LEFT JOIN capability_owners AS o ON o.depot_id = wanted AND o.capability = k.capability
$$;

-- What is kept of a depot that sends is written once in a while, not with every packet: it may be fresh for longer than
-- fresh_until says, never for less.
CREATE FUNCTION settle_freshness(changed uuid[]) RETURNS void LANGUAGE sql AS $$
    WITH told AS MATERIALIZED (
        SELECT depot_id, depot_fresh_until(depot_id) AS fresh_until
        FROM (SELECT DISTINCT depot_id FROM unnest(changed) AS given (depot_id)) AS each
    ), judged AS MATERIALIZED (
        SELECT depot_id, fresh_until, CASE WHEN fresh_until IS NULL THEN 'NONE'
            WHEN fresh_until < clock_timestamp() THEN 'STALE' ELSE 'FRESH' END AS freshness
        FROM told
    ), flipped AS (
        UPDATE depot_list AS x SET freshness = j.freshness FROM judged AS j
        WHERE x.depot_id = j.depot_id AND x.freshness <> j.freshness
    ), lapsed AS (
        DELETE FROM fresh_depots AS f USING judged AS j WHERE f.depot_id = j.depot_id AND j.freshness <> 'FRESH'
    )
    INSERT INTO fresh_depots AS f (depot_id, fresh_until)
    SELECT j.depot_id, j.fresh_until FROM judged AS j JOIN depot_list AS x ON x.depot_id = j.depot_id
    WHERE j.freshness = 'FRESH'
    ON CONFLICT (depot_id) DO UPDATE SET fresh_until = excluded.fresh_until
    WHERE excluded.fresh_until < f.fresh_until
       OR excluded.fresh_until > f.fresh_until + least(interval '1 minute', (excluded.fresh_until - now()) / 4)
$$;

CREATE FUNCTION statuses_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_freshness(array_agg(m.depot_id))
    FROM new_rows AS n JOIN microgrids AS m ON m.id = n.microgrid_id AND m.retired_at IS NULL HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION owners_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_freshness(ARRAY[coalesce(NEW.depot_id, OLD.depot_id)]);
    RETURN NULL;
END $$;

CREATE FUNCTION thresholds_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_freshness(array_agg(depot_id)) FROM microgrids
    WHERE id = coalesce(NEW.microgrid_id, OLD.microgrid_id) HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE TRIGGER statuses_inserted AFTER INSERT ON capability_latest
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION statuses_changed();
CREATE TRIGGER statuses_updated AFTER UPDATE ON capability_latest
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION statuses_changed();
CREATE TRIGGER owners_changed AFTER INSERT OR UPDATE OR DELETE ON capability_owners
    FOR EACH ROW EXECUTE FUNCTION owners_changed();
CREATE TRIGGER thresholds_changed AFTER INSERT OR UPDATE OR DELETE ON freshness_thresholds
    FOR EACH ROW EXECUTE FUNCTION thresholds_changed();
CREATE TRIGGER microgrids_retired AFTER UPDATE OF retired_at ON microgrids
    FOR EACH ROW WHEN (OLD.retired_at IS DISTINCT FROM NEW.retired_at) EXECUTE FUNCTION owners_changed();
"""

_FILL = """
INSERT INTO depot_list (depot_id, name, provisioning, grams)
SELECT id, name, provisioning, name_grams(name) FROM depots;
SELECT settle_freshness(array_agg(DISTINCT m.depot_id))
FROM capability_latest AS l JOIN microgrids AS m ON m.id = l.microgrid_id AND m.retired_at IS NULL;
"""


def upgrade() -> None:
    for script in (_TABLES, _COUNTS, _FRESHNESS, _FILL, _INDEXES):
        for statement in statements(script):
            op.execute(statement)


def downgrade() -> None:
    for trigger, table in (
        ("depots_listed", "depots"), ("depots_relisted", "depots"), ("statuses_inserted", "capability_latest"),
        ("statuses_updated", "capability_latest"), ("owners_changed", "capability_owners"),
        ("thresholds_changed", "freshness_thresholds"), ("microgrids_retired", "microgrids"),
    ):  # fmt: skip
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for table in ("fresh_depots", "depot_list", "depot_counts"):
        op.execute(f"DROP TABLE {table}")
    for function in (
        "depot_list_inserted", "depot_list_deleted", "depot_list_updated", "depots_listed", "depots_relisted",
        "statuses_changed", "owners_changed", "thresholds_changed", "settle_freshness", "depot_fresh_until",
        "search_grams", "name_grams",
    ):  # fmt: skip
        op.execute(f"DROP FUNCTION {function}")
