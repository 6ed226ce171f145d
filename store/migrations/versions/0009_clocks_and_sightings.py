"""Clocks that run ahead, hand-overs of a capability, and when each sensor was last in a packet."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_COLUMNS = """
ALTER TABLE capability_events ADD COLUMN tenure integer NOT NULL DEFAULT 0;
ALTER TABLE capability_latest ADD COLUMN tenure integer NOT NULL DEFAULT 0;
ALTER TABLE circuit_capacities ADD COLUMN received_at timestamptz, ADD COLUMN fail_safe_received_at timestamptz;
ALTER TABLE power_source_readings ADD COLUMN released boolean NOT NULL DEFAULT false;

-- When the last packet came is not known; that it was not after now is.
UPDATE circuit_capacities SET received_at = now() WHERE observed_at > now();
UPDATE circuit_capacities SET fail_safe_received_at = now() WHERE fail_safe_observed_at > now();
UPDATE power_source_readings AS r SET released = true WHERE NOT EXISTS (
    SELECT FROM sensor_actions AS a WHERE a.device_id = r.device_id AND a.enabled AND r.measurand = ANY (a.measurands)
);
"""

# Which device supplies a capability, or did so last, and how often it became another one. It outlives the device.
_TENURES = """
CREATE TABLE capability_tenures (
    depot_id uuid NOT NULL,
    capability text NOT NULL,
    device_id uuid NOT NULL,
    tenure integer NOT NULL,
    CONSTRAINT capability_tenures_one PRIMARY KEY (depot_id, capability)
) WITH (fillfactor = 70);
CREATE INDEX capability_tenures_device_id ON capability_tenures (device_id);

INSERT INTO capability_tenures (depot_id, capability, device_id, tenure)
SELECT m.depot_id, l.capability, l.source_device_id, 0
FROM capability_latest AS l JOIN microgrids AS m ON m.id = l.microgrid_id AND m.retired_at IS NULL
WHERE l.source_device_id IS NOT NULL;

INSERT INTO capability_tenures AS t (depot_id, capability, device_id, tenure)
SELECT o.depot_id, o.capability, a.device_id, 0
FROM capability_owners AS o JOIN sensor_actions AS a ON a.id = o.sensor_action_id
ON CONFLICT (depot_id, capability) DO UPDATE SET tenure = 1, device_id = excluded.device_id
WHERE t.device_id <> excluded.device_id;

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

-- What a device that gives something no longer said last stands in nobody's way.
CREATE FUNCTION release_readings(of_device uuid, measurands text[]) RETURNS void LANGUAGE sql AS $$
    UPDATE power_source_readings SET released = true
    WHERE device_id = of_device AND (measurands IS NULL OR measurand = ANY (measurands)) AND NOT released
$$;
CREATE INDEX power_source_readings_device_id ON power_source_readings (device_id);

CREATE FUNCTION sensor_actions_release_readings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT OLD.enabled OR OLD.action NOT LIKE 'UPDATE_POWER_SOURCE_%' THEN
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' OR NOT NEW.enabled OR NEW.device_id <> OLD.device_id THEN
        PERFORM release_readings(OLD.device_id, OLD.measurands);
    ELSIF NOT OLD.measurands <@ NEW.measurands THEN
        PERFORM release_readings(
            OLD.device_id, ARRAY(SELECT unnest(OLD.measurands) EXCEPT SELECT unnest(NEW.measurands)));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER sensor_actions_release_readings AFTER UPDATE OR DELETE ON sensor_actions
    FOR EACH ROW EXECUTE FUNCTION sensor_actions_release_readings();

-- Another sensor, or another gateway with a clock of its own, is another source under the device's name. A device
-- that is linked to another circuit gives its readings to another power source.
CREATE FUNCTION devices_change_source() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.gateway_id, NEW.sensor_id) IS DISTINCT FROM (OLD.gateway_id, OLD.sensor_id) THEN
        UPDATE capability_tenures SET tenure = tenure + 1 WHERE device_id = NEW.id;
        UPDATE circuit_capacities AS c
        SET observed_at = NULL, received_at = NULL, fail_safe_observed_at = NULL, fail_safe_received_at = NULL
        FROM sensor_actions AS a WHERE a.id = c.sensor_action_id AND a.device_id = NEW.id;
    END IF;
    PERFORM release_readings(NEW.id, NULL);
    RETURN NULL;
END $$;
CREATE TRIGGER devices_change_source AFTER UPDATE ON devices FOR EACH ROW
    WHEN ((NEW.gateway_id, NEW.sensor_id, NEW.circuit_id) IS DISTINCT FROM
          (OLD.gateway_id, OLD.sensor_id, OLD.circuit_id))
    EXECUTE FUNCTION devices_change_source();
"""

# The latest packet that each sensor was in, by its effective time. It outlives the packet, and is there before
# anybody says that a device stands for the sensor. Whoever stores packets, these rows are kept.
_SIGHTINGS = """
CREATE TABLE sensor_sightings (
    gateway_id uuid NOT NULL CONSTRAINT sensor_sightings_gateway REFERENCES gateways (id) ON DELETE CASCADE,
    sensor_id text NOT NULL,
    packet_id uuid NOT NULL,
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (gateway_id, sensor_id)
) WITH (fillfactor = 70);

CREATE FUNCTION packets_sight_sensors() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sensor_sightings AS s (gateway_id, sensor_id, packet_id, observed_at, received_at)
    {0}
    ON CONFLICT (gateway_id, sensor_id) DO UPDATE
    SET packet_id = excluded.packet_id, observed_at = excluded.observed_at, received_at = excluded.received_at
    WHERE (least(excluded.observed_at, excluded.received_at), excluded.observed_at)
        > (least(s.observed_at, s.received_at), s.observed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER packets_sight_sensors AFTER INSERT ON packets
    REFERENCING NEW TABLE AS new_packets FOR EACH STATEMENT EXECUTE FUNCTION packets_sight_sensors();

INSERT INTO sensor_sightings (gateway_id, sensor_id, packet_id, observed_at, received_at)
{1};
"""
_SENSOR_ID = "m.sensor ->> 'sensor_id'"
# Packets that were stored before have the ids as they came; devices have them in the form that revision 0006 gave them.
_FORMED_SENSOR_ID = (
    f"normalize(translate({_SENSOR_ID}, U&'\\00AD\\180E\\200B\\2060\\2061\\2062\\2063\\2064\\FEFF', ''), NFC)"
)
# In the order of the key, so that two transactions never wait for each other.
_LAST_OF = """
    SELECT DISTINCT ON (p.gateway_id, {sensor_id})
           p.gateway_id, {sensor_id}, p.id, p.observed_at, p.received_at
    FROM {packets} AS p
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE jsonb_typeof(p.document -> 'sensors') WHEN 'array' THEN p.document -> 'sensors' ELSE '[]' END
    ) AS m (sensor)
    WHERE m.sensor ->> 'sensor_id' IS NOT NULL AND EXISTS (SELECT FROM gateways AS g WHERE g.id = p.gateway_id)
    ORDER BY p.gateway_id, {sensor_id}, least(p.observed_at, p.received_at) DESC, p.observed_at DESC, p.id
"""


def upgrade() -> None:
    sightings = _SIGHTINGS.format(
        _LAST_OF.format(packets="new_packets", sensor_id=_SENSOR_ID),
        _LAST_OF.format(packets="packets", sensor_id=_FORMED_SENSOR_ID),
    )
    for script in (_COLUMNS, _TENURES, sightings):
        for statement in statements(script):
            op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER packets_sight_sensors ON packets")
    op.execute("DROP FUNCTION packets_sight_sensors()")
    op.execute("DROP TABLE sensor_sightings")
    op.execute("DROP TRIGGER devices_change_source ON devices")
    op.execute("DROP FUNCTION devices_change_source()")
    op.execute("DROP TRIGGER sensor_actions_release_readings ON sensor_actions")
    op.execute("DROP FUNCTION sensor_actions_release_readings()")
    op.execute("DROP INDEX power_source_readings_device_id")
    op.execute("DROP FUNCTION release_readings(uuid, text[])")
    for statement in statements(_OWNERS_BEFORE):
        op.execute(statement)
    op.execute("DROP TABLE capability_tenures")
    op.execute("ALTER TABLE power_source_readings DROP COLUMN released")
    op.execute("ALTER TABLE circuit_capacities DROP COLUMN received_at, DROP COLUMN fail_safe_received_at")
    op.execute("ALTER TABLE capability_latest DROP COLUMN tenure")
    op.execute("ALTER TABLE capability_events DROP COLUMN tenure")


_OWNERS_BEFORE = """
CREATE OR REPLACE FUNCTION sensor_actions_own_capabilities() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM capability_owners WHERE sensor_action_id = NEW.id;
    IF NEW.enabled AND NEW.action = 'UPDATE_MICROGRID_STATE' THEN
        INSERT INTO capability_owners (depot_id, capability, sensor_action_id)
        SELECT NEW.depot_id, told.capability, NEW.id
        FROM (VALUES ('LIMIT_PEAK_SHAVING', 'PEAK_SHAVING'), ('LIMIT_DER_EXPORT', 'DER'))
            AS told (measurand, capability)
        WHERE told.measurand = ANY (NEW.measurands);
    END IF;
    RETURN NULL;
END $$;
"""
