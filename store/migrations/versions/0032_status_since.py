"""Since when a status holds, beside the latest status, and an index that finds where statuses changed."""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

# A status holds since the first of the events that say it without another one between them, in the order of the fold.
_SETTLE = """
    UPDATE capability_latest AS l SET since = f.since
    FROM capability_latest AS n
    LEFT JOIN LATERAL (
        SELECT e.* FROM unnest(ARRAY['ON', 'ON', 'OFF', 'OFF'], ARRAY[true, false, true, false])
            AS k (status, simulated)
        CROSS JOIN LATERAL (
            SELECT tenure, least(observed_at, received_at) AS at, observed_at, provider_event_ref
            FROM capability_events
            WHERE microgrid_id = n.microgrid_id AND capability = n.capability AND status = k.status
                  AND (scenario_run_id IS NOT NULL) = k.simulated AND effect IN ('SHOWN', 'LATE')
            ORDER BY tenure DESC, least(observed_at, received_at) DESC, observed_at DESC, provider_event_ref DESC
            LIMIT 1
        ) AS e
        WHERE (k.status, k.simulated) <> (n.status, n.scenario_run_id IS NOT NULL)
        ORDER BY e.tenure DESC, e.at DESC, e.observed_at DESC, e.provider_event_ref DESC LIMIT 1
    ) AS b ON true
    CROSS JOIN LATERAL (
        SELECT least(observed_at, received_at) AS since FROM capability_events
        WHERE microgrid_id = n.microgrid_id AND capability = n.capability AND status = n.status
              AND (scenario_run_id IS NOT NULL) = (n.scenario_run_id IS NOT NULL) AND effect IN ('SHOWN', 'LATE')
              AND (tenure, least(observed_at, received_at), observed_at, provider_event_ref)
                > (coalesce(b.tenure, -1), coalesce(b.at, '-infinity'), coalesce(b.observed_at, '-infinity'),
                   coalesce(b.provider_event_ref, ''))
        ORDER BY tenure, least(observed_at, received_at), observed_at, provider_event_ref LIMIT 1
    ) AS f
    WHERE l.microgrid_id = n.microgrid_id AND l.capability = n.capability
"""


def upgrade() -> None:
    op.execute("""
        CREATE INDEX capability_events_said ON capability_events
            (microgrid_id, capability, status, (scenario_run_id IS NOT NULL), tenure, least(observed_at, received_at))
        WHERE effect IN ('SHOWN', 'LATE')
    """)
    # The version before writes no such time; the next packet of a status without one finds it.
    op.execute("ALTER TABLE capability_latest ADD COLUMN since timestamptz")
    op.execute(_SETTLE)


def downgrade() -> None:
    op.execute("ALTER TABLE capability_latest DROP COLUMN since")
    op.execute("DROP INDEX capability_events_said")
