"""The list of depots is in any order: what each depot is ordered by is kept in one row, with an index of each order."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

# The list knows the time zone. With a default, so that the version before may write while both run: its functions are
# these, so its rows have it too.
_LISTED = """
CREATE OR REPLACE FUNCTION depots_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags, sort_key{column})
    SELECT id, name, provisioning, name_grams(name), lower(region), lower_all(tags), natural_key(name){value}
    FROM new_rows;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION depots_relisted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE depot_list AS x
    SET name = n.name, provisioning = n.provisioning,
        grams = CASE WHEN x.name = n.name THEN x.grams ELSE name_grams(n.name) END,
        sort_key = CASE WHEN x.name = n.name THEN x.sort_key ELSE natural_key(n.name) END,
        region = lower(n.region), tags = lower_all(n.tags){change}
    FROM new_rows AS n
    WHERE x.depot_id = n.id
      AND (x.name, x.provisioning, x.region, x.tags{own})
          IS DISTINCT FROM (n.name, n.provisioning, lower(n.region), lower_all(n.tags){new});
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION depots_retired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.retired_at IS NOT NULL THEN
        DELETE FROM depot_list WHERE depot_id = NEW.id;
    ELSE
        INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags, sort_key{column})
        VALUES (NEW.id, NEW.name, NEW.provisioning, name_grams(NEW.name), lower(NEW.region),
                lower_all(NEW.tags), natural_key(NEW.name){new_value});
        PERFORM settle_freshness(ARRAY[NEW.id]);
    END IF;
    RETURN NULL;
END $$;
"""
_ORDERS = ("worst", "provisioning", "status", "fail_safe", "remediations", "timezone")
_TABLE = """
CREATE TABLE depot_ranks (
    depot_id uuid PRIMARY KEY CONSTRAINT depot_ranks_depot REFERENCES depot_list (depot_id) ON DELETE CASCADE,
    sort_key text COLLATE "C" NOT NULL,
    worst bigint NOT NULL,
    provisioning bigint NOT NULL,
    status bigint NOT NULL,
    fail_safe bigint NOT NULL,
    remediations bigint NOT NULL,
    timezone text COLLATE "C" NOT NULL,
    freshness text NOT NULL,
    alarms integer NOT NULL
) WITH (fillfactor = 70);
"""
# A moment within the years that have four digits is less than 10^18 of these: so a number says a group, and since when.
_RANKED = """
CREATE FUNCTION rank_of(moment timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CAST(extract(epoch FROM greatest(to_timestamp(-62135596800), least(to_timestamp(253402300799), moment)))
                * 1000000 AS bigint)
$$;
CREATE FUNCTION settle_ranks(changed uuid[]) RETURNS void LANGUAGE sql SET enable_seqscan = off AS $$
    INSERT INTO depot_ranks AS k
    SELECT x.depot_id, x.sort_key,
           CASE WHEN a.priority IS NULL THEN 4000000000000000000
                ELSE a.priority * 1000000000000000000 + rank_of(a.since) END,
           CASE x.provisioning WHEN 'FAILED' THEN coalesce(rank_of(a.failed_since), 1000000000000000000)
                WHEN 'PENDING' THEN 2000000000000000000 ELSE 3000000000000000000 END,
           CASE WHEN a.stale_since IS NOT NULL THEN rank_of(a.stale_since)
                WHEN x.freshness = 'STALE' THEN 1000000000000000000
                WHEN x.freshness = 'FRESH' THEN 2000000000000000000 ELSE 3000000000000000000 END,
           CASE WHEN a.fail_safe_since IS NULL THEN 1000000000000000000 ELSE rank_of(a.fail_safe_since) END,
           CASE WHEN a.remediations_since IS NULL THEN 1000000000000000000 ELSE rank_of(a.remediations_since) END,
           x.timezone, x.freshness,
           CASE WHEN a.silent_controllers > 0 THEN 1 ELSE 0 END | CASE WHEN a.fail_safe_circuits > 0 THEN 2 ELSE 0 END
           | CASE WHEN a.failed_since IS NOT NULL THEN 4 ELSE 0 END
           | CASE WHEN a.open_remediations > 0 THEN 8 ELSE 0 END
           | CASE WHEN a.stale_since IS NOT NULL AND NOT a.stale_by_silence THEN 16 ELSE 0 END
    FROM depot_list AS x
    LEFT JOIN LATERAL (SELECT * FROM depot_alarms WHERE depot_id = x.depot_id OFFSET 0) AS a ON true
    WHERE x.depot_id = ANY (changed)
    ON CONFLICT (depot_id) DO UPDATE
    SET sort_key = excluded.sort_key, worst = excluded.worst, provisioning = excluded.provisioning,
        status = excluded.status, fail_safe = excluded.fail_safe, remediations = excluded.remediations,
        timezone = excluded.timezone, freshness = excluded.freshness, alarms = excluded.alarms
    WHERE k.* IS DISTINCT FROM excluded.*
$$;

CREATE FUNCTION list_ranks_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_ranks(array_agg(depot_id)) FROM new_rows HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE FUNCTION list_ranks_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_ranks(array_agg(n.depot_id)) FROM new_rows AS n JOIN old_rows AS o USING (depot_id)
    WHERE (n.sort_key, n.timezone, n.provisioning, n.freshness)
          IS DISTINCT FROM (o.sort_key, o.timezone, o.provisioning, o.freshness)
    HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER list_ranks_inserted AFTER INSERT ON depot_list
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION list_ranks_inserted();
CREATE TRIGGER list_ranks_updated AFTER UPDATE ON depot_list
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION list_ranks_updated();

CREATE FUNCTION alarm_ranks_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_ranks(array_agg(depot_id)) FROM changed_rows HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER alarm_ranks_inserted AFTER INSERT ON depot_alarms
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION alarm_ranks_changed();
CREATE TRIGGER alarm_ranks_updated AFTER UPDATE ON depot_alarms
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION alarm_ranks_changed();
CREATE TRIGGER alarm_ranks_deleted AFTER DELETE ON depot_alarms
    REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION alarm_ranks_changed();
"""


def upgrade() -> None:
    op.execute("ALTER TABLE depot_list ADD COLUMN timezone text COLLATE \"C\" NOT NULL DEFAULT ''")
    op.execute("UPDATE depot_list AS x SET timezone = d.timezone FROM depots AS d WHERE d.id = x.depot_id")
    _run(
        _LISTED.format(
            column=", timezone",
            value=", timezone",
            new_value=", NEW.timezone",
            change=", timezone = n.timezone",
            own=", x.timezone",
            new=", n.timezone",
        )
    )
    _run(_TABLE)
    _run(_RANKED)
    op.execute("SELECT settle_ranks(array_agg(depot_id)) FROM depot_list")
    # With what depots are commonly narrowed down by, so that those that do not fit are passed without their rows.
    for name in _ORDERS:
        more = "freshness, alarms" if name == "provisioning" else "freshness, provisioning, alarms"
        op.execute(f"CREATE INDEX depot_ranks_{name} ON depot_ranks ({name}, sort_key, depot_id) INCLUDE ({more})")
    op.execute("ANALYZE depot_ranks")


def downgrade() -> None:
    for table, names in (
        ("depot_alarms", ("alarm_ranks_inserted", "alarm_ranks_updated", "alarm_ranks_deleted")),
        ("depot_list", ("list_ranks_inserted", "list_ranks_updated")),
    ):
        for name in names:
            op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in ("alarm_ranks_changed", "list_ranks_inserted", "list_ranks_updated"):
        op.execute(f"DROP FUNCTION {name}()")
    op.execute("DROP FUNCTION settle_ranks(uuid[])")
    op.execute("DROP FUNCTION rank_of(timestamptz)")
    op.execute("DROP TABLE depot_ranks")
    _run(_LISTED.format(column="", value="", new_value="", change="", own="", new=""))
    op.execute("ALTER TABLE depot_list DROP COLUMN timezone")


def _run(script: str) -> None:
    for statement in statements(script):
        op.execute(statement)
