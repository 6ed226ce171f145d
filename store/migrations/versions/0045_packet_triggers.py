"""What triggers do for each batch of packets takes less; and people are looked up by what grants call them."""

from __future__ import annotations

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

# As `depot_fresh_until` has it, of the depots of one call in one plan: a function that is called for each of them
# begins and ends a plan each time, which took longer than the rows.
_FRESH_UNTIL = """
        SELECT CASE WHEN count(l.status) < count(*) THEN NULL
                    WHEN bool_or(o.sensor_action_id IS NULL) THEN CAST('-infinity' AS timestamptz)
                    ELSE min(least(l.observed_at, l.received_at)
                             + coalesce(make_interval(secs => t.seconds), k.threshold)) END
        FROM known_capabilities() AS k
        LEFT JOIN LATERAL (
            SELECT id FROM microgrids WHERE depot_id = each.depot_id AND retired_at IS NULL OFFSET 0
        ) AS m ON true
        LEFT JOIN LATERAL (
            SELECT status, observed_at, received_at FROM capability_latest
            WHERE microgrid_id = m.id AND capability = k.capability OFFSET 0
        ) AS l ON true
        LEFT JOIN LATERAL (
            SELECT seconds FROM freshness_thresholds
            WHERE microgrid_id = m.id AND capability = k.capability OFFSET 0
        ) AS t ON true
        LEFT JOIN LATERAL (
            SELECT sensor_action_id FROM capability_owners
            WHERE depot_id = each.depot_id AND capability = k.capability OFFSET 0
        ) AS o ON true
        WHERE k.is_expected OR o.sensor_action_id IS NOT NULL OR l.status IS NOT NULL
"""
_MOVED = """{new}.fresh_until < f.fresh_until
       OR {new}.fresh_until > f.fresh_until + least(interval '1 minute', ({new}.fresh_until - now()) / 4)"""
# A conflict locks the row that stays, which writes it: rows that stay are left out before.
_SETTLE_FRESHNESS = f"""
CREATE OR REPLACE FUNCTION settle_freshness(changed uuid[]) RETURNS void LANGUAGE sql SET enable_seqscan = off AS $$
    WITH told AS MATERIALIZED (
        SELECT each.depot_id, ({_FRESH_UNTIL}        ) AS fresh_until
        FROM (SELECT DISTINCT depot_id FROM unnest(changed) AS given (depot_id)) AS each
    ), judged AS MATERIALIZED (
        SELECT depot_id, fresh_until, CASE WHEN fresh_until IS NULL THEN 'NONE'
            WHEN fresh_until < clock_timestamp() THEN 'STALE' ELSE 'FRESH' END AS freshness
        FROM told
    ), flipped AS (
        UPDATE depot_list AS x SET freshness = j.freshness FROM judged AS j
        WHERE x.depot_id = j.depot_id AND x.freshness <> j.freshness
    ), lapsed AS (
        DELETE FROM fresh_depots WHERE depot_id = ANY (ARRAY(SELECT depot_id FROM judged WHERE freshness <> 'FRESH'))
    )
    INSERT INTO fresh_depots AS f (depot_id, fresh_until)
    SELECT j.depot_id, j.fresh_until FROM judged AS j JOIN depot_list AS x ON x.depot_id = j.depot_id
    LEFT JOIN fresh_depots AS f ON f.depot_id = j.depot_id
    WHERE j.freshness = 'FRESH' AND (f.depot_id IS NULL OR {_MOVED.format(new="j")})
    ON CONFLICT (depot_id) DO UPDATE SET fresh_until = excluded.fresh_until
    WHERE {_MOVED.format(new="excluded")}
$$
"""  # noqa: S608 - constants
# Connections that take packets join rows one by one: of a batch of hundreds, each old row with each new one. Grouped,
# and only where a fail-safe is among them, rows are read once.
_CAPACITY_ALARMS_UPDATED = """
CREATE OR REPLACE FUNCTION capacity_alarms_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM new_rows WHERE mode = 'FAIL_SAFE') OR EXISTS (SELECT FROM old_rows WHERE mode = 'FAIL_SAFE')
    THEN
        PERFORM settle_alarms(array_agg(DISTINCT g.depot_id))
        FROM (
            SELECT depot_id FROM (TABLE new_rows UNION ALL TABLE old_rows) AS each
            GROUP BY circuit_id, depot_id
            HAVING bool_or(mode = 'FAIL_SAFE') AND count(DISTINCT (mode, reason, scenario_run_id)) > 1
        ) AS g
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$
"""
_FRESHNESS_BEFORE = f"""
CREATE OR REPLACE FUNCTION settle_freshness(changed uuid[]) RETURNS void LANGUAGE sql AS $$
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
        DELETE FROM fresh_depots WHERE depot_id = ANY (ARRAY(SELECT depot_id FROM judged WHERE freshness <> 'FRESH'))
    )
    INSERT INTO fresh_depots AS f (depot_id, fresh_until)
    SELECT j.depot_id, j.fresh_until FROM judged AS j JOIN depot_list AS x ON x.depot_id = j.depot_id
    WHERE j.freshness = 'FRESH'
    ON CONFLICT (depot_id) DO UPDATE SET fresh_until = excluded.fresh_until
    WHERE {_MOVED.format(new="excluded")}
$$
"""  # noqa: S608 - constants
_BEFORE = (
    _FRESHNESS_BEFORE,
    """
CREATE OR REPLACE FUNCTION capacity_alarms_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_alarms(array_agg(DISTINCT n.depot_id)) FROM new_rows AS n JOIN old_rows AS o USING (circuit_id)
    WHERE 'FAIL_SAFE' IN (n.mode, o.mode)
      AND (n.mode, n.reason, n.scenario_run_id) IS DISTINCT FROM (o.mode, o.reason, o.scenario_run_id)
    HAVING count(*) > 0;
    RETURN NULL;
END $$
""",
)


def upgrade() -> None:
    op.execute(_SETTLE_FRESHNESS)
    op.execute(_CAPACITY_ALARMS_UPDATED)
    op.execute("CREATE INDEX people_called ON people ((issuer || '#' || sub))")


def downgrade() -> None:
    op.execute("DROP INDEX people_called")
    for statement in _BEFORE:
        op.execute(statement)
