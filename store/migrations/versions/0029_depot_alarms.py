"""The alarms of depots, kept: which depots need attention, the worst first, at any size of the fleet."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE depot_alarms (
    depot_id uuid PRIMARY KEY CONSTRAINT depot_alarms_depot REFERENCES depot_list (depot_id) ON DELETE CASCADE,
    priority integer NOT NULL,
    since timestamptz NOT NULL,
    silent_controllers integer NOT NULL,
    silent_since timestamptz,
    silent_run_id uuid,
    fail_safe_circuits integer NOT NULL,
    fail_safe_since timestamptz,
    fail_safe_run_id uuid,
    open_remediations integer NOT NULL,
    remediations_since timestamptz,
    remediations_run_id uuid,
    failed_since timestamptz,
    stale_since timestamptz,
    stale_by_silence boolean NOT NULL,
    stale_run_id uuid
) WITH (fillfactor = 70);
CREATE INDEX depot_alarms_worst ON depot_alarms (priority, since, depot_id);
CREATE INDEX remediations_open ON remediations (depot_id) WHERE closed_at IS NULL;
"""

# The rule of domain/monitoring/alarms.py; a test holds them together. Since when a depot is stale or could not be
# provisioned is known only when it becomes so: what is kept says it from then on.
_RULE = """
CREATE FUNCTION alarms_of(wanted uuid[]) RETURNS SETOF depot_alarms LANGUAGE sql STABLE AS $$
    WITH given AS MATERIALIZED (
        SELECT x.depot_id, x.provisioning, depot_fresh_until(x.depot_id) AS fresh_until, k.failed_since, k.stale_since
        FROM depot_list AS x LEFT JOIN depot_alarms AS k ON k.depot_id = x.depot_id
        WHERE x.depot_id = ANY (wanted)
    ), held AS MATERIALIZED (
        -- A deadline that has passed counts although nobody has noticed it yet.
        SELECT c.depot_id, a.device_id, coalesce(c.deadline, c.since) AS since,
               c.deadline IS NOT NULL OR c.reason = 'NO_PACKET' AS is_unheard,
               make_interval(secs => c.heartbeat_threshold_seconds) AS threshold,
               coalesce(c.scenario_run_id, CASE WHEN c.fail_safe_received_w IS NOT NULL
                   THEN c.fail_safe_scenario_run_id END) AS run_id
        FROM circuit_capacities AS c JOIN sensor_actions AS a ON a.id = c.sensor_action_id
        WHERE c.depot_id = ANY (wanted) AND (c.mode = 'FAIL_SAFE' OR c.deadline <= clock_timestamp())
    ), late AS MATERIALIZED (
        SELECT x.depot_id, a.device_id, least(l.observed_at, l.received_at) AS since,
               coalesce(make_interval(secs => t.seconds), k.threshold) AS threshold, l.scenario_run_id AS run_id
        FROM given AS x
        JOIN microgrids AS m ON m.depot_id = x.depot_id AND m.retired_at IS NULL
        JOIN capability_latest AS l ON l.microgrid_id = m.id
        JOIN known_capabilities() AS k ON k.capability = l.capability
        LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = l.capability
        LEFT JOIN capability_owners AS o ON o.depot_id = x.depot_id AND o.capability = l.capability
        LEFT JOIN sensor_actions AS a ON a.id = o.sensor_action_id
        WHERE x.fresh_until < clock_timestamp() AND (a.id IS NULL OR least(l.observed_at, l.received_at)
            + coalesce(make_interval(secs => t.seconds), k.threshold) < clock_timestamp())
    ), unheard AS (
        SELECT depot_id, device_id, min(threshold) AS threshold, min(since) AS since,
               (array_agg(run_id) FILTER (WHERE run_id IS NOT NULL))[1] AS run_id
        FROM (
            SELECT depot_id, device_id, threshold, since, run_id FROM held WHERE is_unheard
            UNION ALL SELECT depot_id, device_id, threshold, since, run_id FROM late WHERE device_id IS NOT NULL
        ) AS each
        GROUP BY depot_id, device_id
    ), silent AS MATERIALIZED (
        -- Who sends something else is not silent.
        SELECT u.depot_id, u.device_id, coalesce(least(s.observed_at, s.received_at), u.since) AS since, u.run_id
        FROM unheard AS u JOIN devices AS d ON d.id = u.device_id
        LEFT JOIN sensor_sightings AS s ON s.gateway_id = d.gateway_id AND s.sensor_id = d.sensor_id
        WHERE s.sensor_id IS NULL OR least(s.observed_at, s.received_at) + u.threshold < clock_timestamp()
    ), silences AS (
        SELECT depot_id, count(*) AS count, min(since) AS since,
               (array_agg(run_id) FILTER (WHERE run_id IS NOT NULL))[1] AS run_id
        FROM silent GROUP BY depot_id
    ), fail_safes AS (
        SELECT depot_id, count(*) AS count, min(since) AS since,
               (array_agg(run_id) FILTER (WHERE run_id IS NOT NULL))[1] AS run_id
        FROM held GROUP BY depot_id
    ), stopped AS (
        SELECT depot_id, count(*) AS count, min(opened_at) AS since,
               (array_agg(scenario_run_id) FILTER (WHERE scenario_run_id IS NOT NULL))[1] AS run_id
        FROM remediations WHERE depot_id = ANY (wanted) AND closed_at IS NULL GROUP BY depot_id
    ), lates AS (
        SELECT l.depot_id, bool_and(s.device_id IS NOT NULL) AS by_silence,
               (array_agg(l.run_id) FILTER (WHERE l.run_id IS NOT NULL))[1] AS run_id
        FROM late AS l LEFT JOIN silent AS s ON s.depot_id = l.depot_id AND s.device_id = l.device_id
        GROUP BY l.depot_id
    ), told AS (
        SELECT x.depot_id, coalesce(q.count, 0) AS silent_controllers, q.since AS silent_since,
               q.run_id AS silent_run_id, coalesce(f.count, 0) AS fail_safe_circuits, f.since AS fail_safe_since,
               f.run_id AS fail_safe_run_id, coalesce(r.count, 0) AS open_remediations,
               r.since AS remediations_since, r.run_id AS remediations_run_id,
               CASE WHEN x.provisioning = 'FAILED' THEN coalesce(x.failed_since, now()) END AS failed_since,
               CASE WHEN l.depot_id IS NOT NULL
                   THEN coalesce(x.stale_since, nullif(x.fresh_until, '-infinity'), now()) END AS stale_since,
               coalesce(l.by_silence, false) AS stale_by_silence, l.run_id AS stale_run_id
        FROM given AS x
        LEFT JOIN silences AS q ON q.depot_id = x.depot_id
        LEFT JOIN fail_safes AS f ON f.depot_id = x.depot_id
        LEFT JOIN stopped AS r ON r.depot_id = x.depot_id
        LEFT JOIN lates AS l ON l.depot_id = x.depot_id
    ), worst AS (
        SELECT *, CASE WHEN silent_since IS NOT NULL OR fail_safe_since IS NOT NULL THEN 1
            WHEN failed_since IS NOT NULL OR remediations_since IS NOT NULL THEN 2 ELSE 3 END AS priority
        FROM told
        WHERE coalesce(silent_since, fail_safe_since, failed_since, remediations_since, stale_since) IS NOT NULL
    )
    SELECT depot_id, priority, CASE priority WHEN 1 THEN least(silent_since, fail_safe_since)
               WHEN 2 THEN least(failed_since, remediations_since) ELSE stale_since END,
           silent_controllers::integer, silent_since, silent_run_id, fail_safe_circuits::integer, fail_safe_since,
           fail_safe_run_id, open_remediations::integer, remediations_since, remediations_run_id, failed_since,
           stale_since, stale_by_silence, stale_run_id
    FROM worst
$$;

CREATE FUNCTION settle_alarms(changed uuid[]) RETURNS void LANGUAGE sql AS $$
    WITH told AS MATERIALIZED (
        SELECT * FROM alarms_of(changed)
    ), mended AS (
        DELETE FROM depot_alarms
        WHERE depot_id = ANY (changed) AND depot_id <> ALL (ARRAY(SELECT depot_id FROM told))
    )
    INSERT INTO depot_alarms AS k SELECT * FROM told
    ON CONFLICT (depot_id) DO UPDATE
    SET priority = excluded.priority, since = excluded.since, silent_controllers = excluded.silent_controllers,
        silent_since = excluded.silent_since, silent_run_id = excluded.silent_run_id,
        fail_safe_circuits = excluded.fail_safe_circuits, fail_safe_since = excluded.fail_safe_since,
        fail_safe_run_id = excluded.fail_safe_run_id, open_remediations = excluded.open_remediations,
        remediations_since = excluded.remediations_since, remediations_run_id = excluded.remediations_run_id,
        failed_since = excluded.failed_since, stale_since = excluded.stale_since,
        stale_by_silence = excluded.stale_by_silence, stale_run_id = excluded.stale_run_id
    WHERE k.* IS DISTINCT FROM excluded.*
$$;
"""

_TRIGGERS = """
CREATE FUNCTION list_alarms_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_alarms(array_agg(depot_id)) FROM new_rows WHERE provisioning = 'FAILED' HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE FUNCTION list_alarms_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_alarms(array_agg(n.depot_id)) FROM new_rows AS n JOIN old_rows AS o USING (depot_id)
    WHERE (n.freshness = 'STALE') <> (o.freshness = 'STALE')
       OR (n.provisioning = 'FAILED') <> (o.provisioning = 'FAILED')
    HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER list_alarms_inserted AFTER INSERT ON depot_list
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION list_alarms_inserted();
CREATE TRIGGER list_alarms_updated AFTER UPDATE ON depot_list
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION list_alarms_updated();

-- A packet of a controller that is well moves a deadline and nothing else: it settles nothing.
CREATE FUNCTION capacity_alarms_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_alarms(array_agg(DISTINCT n.depot_id)) FROM new_rows AS n JOIN old_rows AS o USING (circuit_id)
    WHERE 'FAIL_SAFE' IN (n.mode, o.mode)
      AND (n.mode, n.reason, n.scenario_run_id) IS DISTINCT FROM (o.mode, o.reason, o.scenario_run_id)
    HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE FUNCTION capacity_alarms_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_alarms(array_agg(DISTINCT depot_id)) FROM old_rows WHERE mode = 'FAIL_SAFE' HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER capacity_alarms_updated AFTER UPDATE ON circuit_capacities
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION capacity_alarms_updated();
CREATE TRIGGER capacity_alarms_deleted AFTER DELETE ON circuit_capacities
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION capacity_alarms_deleted();

CREATE FUNCTION remediation_alarms_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_alarms(array_agg(DISTINCT depot_id)) FROM new_rows HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE FUNCTION remediation_alarms_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_alarms(array_agg(DISTINCT n.depot_id)) FROM new_rows AS n JOIN old_rows AS o USING (id)
    WHERE (n.closed_at IS NULL) <> (o.closed_at IS NULL) OR n.scenario_run_id IS DISTINCT FROM o.scenario_run_id
    HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER remediation_alarms_inserted AFTER INSERT ON remediations
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION remediation_alarms_inserted();
CREATE TRIGGER remediation_alarms_updated AFTER UPDATE ON remediations
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION remediation_alarms_updated();
"""

_FILL = """
INSERT INTO depot_alarms (depot_id, priority, since, silent_controllers, fail_safe_circuits, open_remediations,
                          failed_since, stale_by_silence)
SELECT id, 2, updated_at, 0, 0, 0, updated_at, false FROM depots WHERE provisioning = 'FAILED';
SELECT settle_alarms(array_agg(depot_id)) FROM (
    SELECT depot_id FROM depot_list WHERE provisioning = 'FAILED' OR freshness = 'STALE'
    UNION SELECT depot_id FROM circuit_capacities WHERE mode = 'FAIL_SAFE'
    UNION SELECT depot_id FROM remediations WHERE closed_at IS NULL
) AS found;
ANALYZE depot_alarms;
"""


def upgrade() -> None:
    for script in (_TABLE, _RULE, _TRIGGERS, _FILL):
        for statement in statements(script):
            op.execute(statement)


def downgrade() -> None:
    for table, names in (
        ("depot_list", ("list_alarms_inserted", "list_alarms_updated")),
        ("circuit_capacities", ("capacity_alarms_updated", "capacity_alarms_deleted")),
        ("remediations", ("remediation_alarms_inserted", "remediation_alarms_updated")),
    ):
        for name in names:
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")
    op.execute("DROP FUNCTION settle_alarms(uuid[])")
    op.execute("DROP FUNCTION alarms_of(uuid[])")
    op.execute("DROP INDEX remediations_open")
    op.execute("DROP TABLE depot_alarms")
