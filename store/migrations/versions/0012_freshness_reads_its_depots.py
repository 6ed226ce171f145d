"""What refreshes the kept freshness reads the rows of its own depots, whatever the statistics say.

Joined to a table that was empty when it was last analysed, a group of packets was compared with every fresh depot.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_SETTLE = """
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
        {lapsed}
    )
    INSERT INTO fresh_depots AS f (depot_id, fresh_until)
    SELECT j.depot_id, j.fresh_until FROM judged AS j JOIN depot_list AS x ON x.depot_id = j.depot_id
    WHERE j.freshness = 'FRESH'
    ON CONFLICT (depot_id) DO UPDATE SET fresh_until = excluded.fresh_until
    WHERE excluded.fresh_until < f.fresh_until
       OR excluded.fresh_until > f.fresh_until + least(interval '1 minute', (excluded.fresh_until - now()) / 4)
$$
"""
_BY_ID = "DELETE FROM fresh_depots WHERE depot_id = ANY (ARRAY(SELECT depot_id FROM judged WHERE freshness <> 'FRESH'))"
_JOINED = "DELETE FROM fresh_depots AS f USING judged AS j WHERE f.depot_id = j.depot_id AND j.freshness <> 'FRESH'"


def upgrade() -> None:
    op.execute(_SETTLE.replace("{lapsed}", _BY_ID))


def downgrade() -> None:
    op.execute(_SETTLE.replace("{lapsed}", _JOINED))
