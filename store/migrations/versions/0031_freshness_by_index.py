"""A depot's freshness is read by key, whatever the statistics said when its statement was planned.

A connection keeps the plan that it made first. Made while the latest statuses were a page or none, that plan read all
of them for each depot of each packet, until the table was analysed again. So each table is asked for the key alone,
where no other order of the joins can be chosen, and by its index.
"""

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_SELECTED = """
CREATE OR REPLACE FUNCTION depot_fresh_until(wanted uuid) RETURNS timestamptz LANGUAGE sql STABLE{setting} AS $$
    SELECT CASE WHEN count(l.status) < count(*) THEN NULL
                WHEN bool_or(o.sensor_action_id IS NULL) THEN CAST('-infinity' AS timestamptz)
                ELSE min(least(l.observed_at, l.received_at)
                         + coalesce(make_interval(secs => t.seconds), k.threshold)) END
    FROM known_capabilities() AS k
    {joins}
    WHERE k.is_expected OR o.sensor_action_id IS NOT NULL OR l.status IS NOT NULL
$$
"""
_JOINED = """LEFT JOIN microgrids AS m ON m.depot_id = wanted AND m.retired_at IS NULL
    LEFT JOIN capability_latest AS l ON l.microgrid_id = m.id AND l.capability = k.capability
    LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = k.capability
    LEFT JOIN capability_owners AS o ON o.depot_id = wanted AND o.capability = k.capability"""
_BY_KEY = """LEFT JOIN LATERAL (
        SELECT id FROM microgrids WHERE depot_id = wanted AND retired_at IS NULL OFFSET 0
    ) AS m ON true
    LEFT JOIN LATERAL (
        SELECT status, observed_at, received_at FROM capability_latest
        WHERE microgrid_id = m.id AND capability = k.capability OFFSET 0
    ) AS l ON true
    LEFT JOIN LATERAL (
        SELECT seconds FROM freshness_thresholds WHERE microgrid_id = m.id AND capability = k.capability OFFSET 0
    ) AS t ON true
    LEFT JOIN LATERAL (
        SELECT sensor_action_id FROM capability_owners WHERE depot_id = wanted AND capability = k.capability OFFSET 0
    ) AS o ON true"""


def upgrade() -> None:
    op.execute(_SELECTED.format(setting=" SET enable_seqscan = off", joins=_BY_KEY))


def downgrade() -> None:
    op.execute(_SELECTED.format(setting="", joins=_JOINED))
