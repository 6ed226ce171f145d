"""What triggers do for each change of the list of depots reads its rows once, however many there are."""

from __future__ import annotations

from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

# Of each depot there are two rows, before and after. Joined, each old row is compared with each new one where rows are
# joined one by one: on connections that take packets, and where the plan was made for the update of one depot.
_ALARMS = """
CREATE OR REPLACE FUNCTION list_alarms_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_alarms(array_agg(g.depot_id))
    FROM (
        SELECT depot_id
        FROM (
            SELECT depot_id, freshness = 'STALE' AS stale, provisioning = 'FAILED' AS failed FROM old_rows
            UNION ALL
            SELECT depot_id, freshness = 'STALE', provisioning = 'FAILED' FROM new_rows
        ) AS each
        GROUP BY depot_id
        HAVING bool_or(stale) <> bool_and(stale) OR bool_or(failed) <> bool_and(failed)
    ) AS g
    HAVING count(*) > 0;
    RETURN NULL;
END $$
"""
_RANKS = """
CREATE OR REPLACE FUNCTION list_ranks_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_ranks(array_agg(g.depot_id))
    FROM (
        SELECT depot_id
        FROM (
            SELECT depot_id, sort_key, timezone, provisioning, freshness FROM old_rows
            UNION ALL
            SELECT depot_id, sort_key, timezone, provisioning, freshness FROM new_rows
        ) AS each
        GROUP BY depot_id
        HAVING min(sort_key) <> max(sort_key) OR min(timezone) <> max(timezone)
            OR min(provisioning) <> max(provisioning) OR min(freshness) <> max(freshness)
    ) AS g
    HAVING count(*) > 0;
    RETURN NULL;
END $$
"""
_BEFORE = (
    """
CREATE OR REPLACE FUNCTION list_alarms_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_alarms(array_agg(n.depot_id)) FROM new_rows AS n JOIN old_rows AS o USING (depot_id)
    WHERE (n.freshness = 'STALE') <> (o.freshness = 'STALE')
       OR (n.provisioning = 'FAILED') <> (o.provisioning = 'FAILED')
    HAVING count(*) > 0;
    RETURN NULL;
END $$
""",
    """
CREATE OR REPLACE FUNCTION list_ranks_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_ranks(array_agg(n.depot_id)) FROM new_rows AS n JOIN old_rows AS o USING (depot_id)
    WHERE (n.sort_key, n.timezone, n.provisioning, n.freshness)
          IS DISTINCT FROM (o.sort_key, o.timezone, o.provisioning, o.freshness)
    HAVING count(*) > 0;
    RETURN NULL;
END $$
""",
)


def upgrade() -> None:
    op.execute(_ALARMS)
    op.execute(_RANKS)


def downgrade() -> None:
    for statement in _BEFORE:
        op.execute(statement)
