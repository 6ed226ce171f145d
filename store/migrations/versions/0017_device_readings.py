"""Typed readings of devices, beside the packets in which they came; and which gateways' packets are still to be read.

The rows are made from the packets by the domain's rules, so the packets that are there are read by a workflow and not
by this migration.
"""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_READINGS = """
-- A column for each standard measurand. Partitioned by the month of measurement, so that its key is of the whole table.
CREATE TABLE device_readings (
    device_id uuid NOT NULL,
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    faults jsonb,
    current double precision,
    frequency double precision,
    voltage double precision,
    line_voltage double precision,
    total_power_load double precision,
    total_reactive_power double precision,
    total_apparent_power double precision,
    total_power_factor double precision,
    phase_1n_voltage_thd double precision,
    phase_2n_voltage_thd double precision,
    phase_3n_voltage_thd double precision,
    available_charging_capacity double precision,
    fail_safe_capacity double precision,
    heartbeat_status text,
    limit_peak_shaving boolean,
    limit_der_export boolean,
    soc double precision,
    device_power_state text,
    bess_operational_mode text,
    PRIMARY KEY (device_id, observed_at)
) PARTITION BY RANGE (observed_at);

CREATE TABLE reading_fills (
    gateway_id uuid CONSTRAINT reading_fills_gateway REFERENCES gateways (id) ON DELETE CASCADE PRIMARY KEY,
    device_ids uuid[] NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    after_observed_at timestamptz,
    after_packet_id uuid,
    packets_read bigint NOT NULL DEFAULT 0,
    finished_at timestamptz
);
CREATE INDEX reading_fills_open ON reading_fills (asked_at, gateway_id) WHERE finished_at IS NULL;
"""

# A device for whose sensor packets came before: they are read again, for this device alone.
_TRIGGER = """
CREATE FUNCTION devices_ask_for_fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO reading_fills AS f (gateway_id, device_ids)
    SELECT n.gateway_id, array_agg(n.id ORDER BY n.id)
    FROM new_devices AS n JOIN sensor_sightings AS s ON s.gateway_id = n.gateway_id AND s.sensor_id = n.sensor_id
    GROUP BY n.gateway_id
    ON CONFLICT (gateway_id) DO UPDATE
    SET device_ids = CASE WHEN f.finished_at IS NULL THEN f.device_ids ELSE '{}' END || excluded.device_ids,
        asked_at = now(), after_observed_at = NULL, after_packet_id = NULL, packets_read = 0, finished_at = NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER devices_ask_for_fill AFTER INSERT ON devices
    REFERENCING NEW TABLE AS new_devices FOR EACH STATEMENT EXECUTE FUNCTION devices_ask_for_fill();
"""

# As it was, but for the table that may be changed: readings can be made again from the packets.
_KEEP = """
CREATE OR REPLACE FUNCTION keep_months_of(
        parents text[], floor_name text, months_ahead integer, months_kept integer)
    RETURNS TABLE (partition_name text, change text) LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    parent text;
    month timestamptz;
    this_month timestamptz := date_trunc('month', now(), 'UTC');
    fewest integer := (SELECT months FROM retention_floors WHERE name = floor_name);
    old record;
BEGIN
    IF months_ahead NOT BETWEEN 1 AND 24 OR months_kept IS NULL OR months_kept NOT BETWEEN fewest AND 1200 THEN
        RAISE EXCEPTION 'between 1 and 24 months are made ahead, and between % and 1200 are kept of the %',
            fewest, floor_name USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('keep_months', 0));
    FOREACH parent IN ARRAY parents LOOP
        FOR month IN
            SELECT (this_month AT TIME ZONE 'UTC' + make_interval(months => n)) AT TIME ZONE 'UTC'
            FROM generate_series(-1, months_ahead) AS n
        LOOP
            partition_name := parent || '_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
            CONTINUE WHEN to_regclass(partition_name) IS NOT NULL;
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                partition_name, parent, month, (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
            );
            IF parent <> 'device_readings' THEN
                PERFORM forbid_changes(partition_name::regclass);
            END IF;
            change := 'MADE';
            RETURN NEXT;
        END LOOP;
        FOR old IN
            SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = parent::regclass
              AND right(c.relname, 7) < to_char(
                  this_month AT TIME ZONE 'UTC' - make_interval(months => months_kept), 'YYYY_MM')
            ORDER BY c.relname
        LOOP
            EXECUTE format('DROP TABLE %I', old.relname);
            partition_name := old.relname;
            change := 'DROPPED';
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION keep_months(months_ahead integer, months_kept integer, journal_months_kept integer)
    RETURNS TABLE (partition_name text, change text)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM keep_months_of(
        {history}, 'history', months_ahead, months_kept)
    UNION ALL
    SELECT * FROM keep_months_of(ARRAY['changes'], 'journal', months_ahead, journal_months_kept)
$$;
"""

_MONTHS = """
DO $$
DECLARE
    month timestamp;
BEGIN
    FOR month IN
        SELECT n FROM generate_series(
            (SELECT min(to_date(right(c.relname, 7), 'YYYY_MM'))
             FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'packets'::regclass),
            date_trunc('month', now() AT TIME ZONE 'UTC') - interval '2 months', interval '1 month') AS n
    LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF device_readings FOR VALUES FROM (%L) TO (%L)',
            'device_readings_' || to_char(month, 'YYYY_MM'),
            month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
        );
    END LOOP;
END $$;
SELECT keep_months(3, 1200, 1200);
INSERT INTO reading_fills (gateway_id, device_ids)
SELECT d.gateway_id, array_agg(d.id ORDER BY d.id)
FROM devices AS d
WHERE EXISTS (SELECT FROM sensor_sightings AS s WHERE s.gateway_id = d.gateway_id AND s.sensor_id = d.sensor_id)
GROUP BY d.gateway_id;
"""

_HISTORY = "ARRAY['packets', 'capability_events', 'capacity_events']"


def upgrade() -> None:
    keep = _KEEP.replace("{history}", _HISTORY.replace("]", ", 'device_readings']"))
    for script in (_READINGS, _TRIGGER, keep, _MONTHS):
        for statement in statements(script):
            op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER devices_ask_for_fill ON devices")
    op.execute("DROP FUNCTION devices_ask_for_fill()")
    op.execute("DROP TABLE reading_fills")
    op.execute("DROP TABLE device_readings")
    keep = _KEEP.replace("{history}", _HISTORY).replace(
        """            IF parent <> 'device_readings' THEN
                PERFORM forbid_changes(partition_name::regclass);
            END IF;
""",
        "            PERFORM forbid_changes(partition_name::regclass);\n",
    )
    for statement in statements(keep):
        op.execute(statement)
