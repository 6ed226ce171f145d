"""What a capability is stands once in the database, and one that is not expected counts only where it is supplied."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Another capability is a line here: a migration with CREATE OR REPLACE FUNCTION. A test compares it with
# domain/monitoring/capabilities.py. The planner puts its rows in place of the call.
_KNOWN = """
CREATE FUNCTION known_capabilities()
RETURNS TABLE (capability text, measurand text, threshold interval, is_expected boolean)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 2 AS $$
    SELECT * FROM (VALUES
        ('PEAK_SHAVING', 'LIMIT_PEAK_SHAVING', interval '5 minutes', true),
        ('DER', 'LIMIT_DER_EXPORT', interval '5 minutes', true)
    ) AS known (capability, measurand, threshold, is_expected)
$$;
"""

_USED = """
CREATE OR REPLACE FUNCTION sensor_actions_own_capabilities() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM capability_owners WHERE sensor_action_id = NEW.id;
    IF NEW.enabled AND NEW.action = 'UPDATE_MICROGRID_STATE' THEN
        INSERT INTO capability_owners (depot_id, capability, sensor_action_id)
        SELECT NEW.depot_id, k.capability, NEW.id
        FROM known_capabilities() AS k WHERE k.measurand = ANY (NEW.measurands);
        INSERT INTO capability_tenures AS t (depot_id, capability, device_id, tenure)
        SELECT depot_id, capability, NEW.device_id, 0 FROM capability_owners WHERE sensor_action_id = NEW.id
        ON CONFLICT (depot_id, capability) DO UPDATE SET tenure = t.tenure + 1, device_id = excluded.device_id
        WHERE t.device_id <> excluded.device_id;
    END IF;
    RETURN NULL;
END $$;

-- Until when all that counts for a depot is fresh: null where something has no status, -infinity where no device
-- updates it any more. What is neither expected nor supplied nor known does not count.
CREATE OR REPLACE FUNCTION depot_fresh_until(wanted uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN count(l.status) < count(*) THEN NULL
                WHEN bool_or(o.sensor_action_id IS NULL) THEN CAST('-infinity' AS timestamptz)
                ELSE min(least(l.observed_at, l.received_at)
                         + coalesce(make_interval(secs => t.seconds), k.threshold)) END
    FROM known_capabilities() AS k
    LEFT JOIN microgrids AS m ON m.depot_id = wanted AND m.retired_at IS NULL
    LEFT JOIN capability_latest AS l ON l.microgrid_id = m.id AND l.capability = k.capability
    LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = k.capability
    LEFT JOIN capability_owners AS o ON o.depot_id = wanted AND o.capability = k.capability
    WHERE k.is_expected OR o.sensor_action_id IS NOT NULL OR l.status IS NOT NULL
$$;
"""

_BEFORE = """
CREATE OR REPLACE FUNCTION sensor_actions_own_capabilities() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM capability_owners WHERE sensor_action_id = NEW.id;
    IF NEW.enabled AND NEW.action = 'UPDATE_MICROGRID_STATE' THEN
        INSERT INTO capability_owners (depot_id, capability, sensor_action_id)
        SELECT NEW.depot_id, told.capability, NEW.id
        FROM (VALUES ('LIMIT_PEAK_SHAVING', 'PEAK_SHAVING'), ('LIMIT_DER_EXPORT', 'DER'))
            AS told (measurand, capability)
        WHERE told.measurand = ANY (NEW.measurands);
        INSERT INTO capability_tenures AS t (depot_id, capability, device_id, tenure)
        SELECT depot_id, capability, NEW.device_id, 0 FROM capability_owners WHERE sensor_action_id = NEW.id
        ON CONFLICT (depot_id, capability) DO UPDATE SET tenure = t.tenure + 1, device_id = excluded.device_id
        WHERE t.device_id <> excluded.device_id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION depot_fresh_until(wanted uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
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
DROP FUNCTION known_capabilities();
"""


def upgrade() -> None:
    for statement in statements(_KNOWN + _USED):
        op.execute(statement)


def downgrade() -> None:
    for statement in statements(_BEFORE):
        op.execute(statement)
