"""Sensors that no device stands for are sighted up to a bound: nobody fills the table with ids of their own making."""

from __future__ import annotations

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

# In the order of the key, so that two transactions never wait for each other.
_LAST_OF = """
    SELECT DISTINCT ON (p.gateway_id, m.sensor ->> 'sensor_id')
           p.gateway_id, m.sensor ->> 'sensor_id' AS sensor_id, p.id AS packet_id, p.observed_at, p.received_at
    FROM new_packets AS p
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE jsonb_typeof(p.document -> 'sensors') WHEN 'array' THEN p.document -> 'sensors' ELSE '[]' END
    ) AS m (sensor)
    WHERE m.sensor ->> 'sensor_id' IS NOT NULL AND EXISTS (SELECT FROM gateways AS g WHERE g.id = p.gateway_id)
    ORDER BY p.gateway_id, m.sensor ->> 'sensor_id', least(p.observed_at, p.received_at) DESC, p.observed_at DESC, p.id
"""
_SIGHT = """
CREATE OR REPLACE FUNCTION packets_sight_sensors() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sensor_sightings AS s (gateway_id, sensor_id, packet_id, observed_at, received_at)
    {0}
    ON CONFLICT (gateway_id, sensor_id) DO UPDATE
    SET packet_id = excluded.packet_id, observed_at = excluded.observed_at, received_at = excluded.received_at
    WHERE (least(excluded.observed_at, excluded.received_at), excluded.observed_at)
        > (least(s.observed_at, s.received_at), s.observed_at);
    RETURN NULL;
END $$
"""
# What was sighted before, or has a device, costs one look into an index. Only where a sensor is new and has no device
# are those of its gateway counted, which the lock of the depot keeps anybody else from adding to.
_BOUNDED = f"""
    WITH sighted AS MATERIALIZED (
        SELECT l.*, coalesce(
            (SELECT true FROM sensor_sightings AS o
             WHERE o.gateway_id = l.gateway_id AND o.sensor_id = l.sensor_id LIMIT 1),
            (SELECT true FROM devices AS d WHERE d.gateway_id = l.gateway_id AND d.sensor_id = l.sensor_id LIMIT 1),
            false
        ) AS known
        FROM ({_LAST_OF}) AS l
    ), held AS MATERIALIZED (
        SELECT g.gateway_id, (
            SELECT count(*) FROM sensor_sightings AS o
            WHERE o.gateway_id = g.gateway_id AND NOT EXISTS (
                SELECT FROM devices AS d WHERE d.gateway_id = o.gateway_id AND d.sensor_id = o.sensor_id
            )
        ) AS unknown
        FROM (SELECT DISTINCT gateway_id FROM sighted WHERE NOT known) AS g
    ), placed AS (
        SELECT n.*, h.unknown,
               count(*) FILTER (WHERE NOT n.known) OVER (PARTITION BY n.gateway_id ORDER BY n.sensor_id) AS place
        FROM sighted AS n LEFT JOIN held AS h ON h.gateway_id = n.gateway_id
    )
    SELECT gateway_id, sensor_id, packet_id, observed_at, received_at FROM placed
    WHERE known OR unknown + place <= 500
    ORDER BY gateway_id, sensor_id
"""  # noqa: S608 - a constant


def upgrade() -> None:
    op.execute(_SIGHT.format(_BOUNDED))


def downgrade() -> None:
    op.execute(_SIGHT.format(_LAST_OF))
