"""Sensor actions, packets, capability status, circuit capacity, power source readings, remediations."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MADE = """
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL"""

_CONFIGURATION = f"""
ALTER TABLE devices ADD CONSTRAINT devices_id_depot UNIQUE (id, depot_id);

CREATE TABLE sensor_actions (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    depot_id uuid NOT NULL,
    device_id uuid NOT NULL,
    action text NOT NULL CONSTRAINT sensor_actions_action CHECK (action IN (
        'UPDATE_MICROGRID_STATE', 'UPDATE_POWER_SOURCE_STATE', 'UPDATE_POWER_SOURCE_LOAD', 'UPDATE_CIRCUIT_CAPACITY'
    )),
    measurands text[] NOT NULL CONSTRAINT sensor_actions_measurands CHECK (cardinality(measurands) > 0),
    heartbeat_threshold_seconds double precision,
    fail_safe_capacity_w double precision,
    enabled boolean NOT NULL DEFAULT true,
    version bigint NOT NULL DEFAULT 1,{_MADE},
    CONSTRAINT sensor_actions_once UNIQUE (device_id, action),
    CONSTRAINT sensor_actions_device FOREIGN KEY (device_id, depot_id) REFERENCES devices (id, depot_id)
        ON DELETE CASCADE,
    CONSTRAINT sensor_actions_threshold
        CHECK ((action = 'UPDATE_CIRCUIT_CAPACITY') = (heartbeat_threshold_seconds IS NOT NULL)),
    CONSTRAINT sensor_actions_fail_safe CHECK (fail_safe_capacity_w >= 0)
);
CREATE INDEX sensor_actions_depot_id ON sensor_actions (depot_id);

CREATE TABLE capability_owners (
    depot_id uuid NOT NULL,
    capability text NOT NULL,
    sensor_action_id uuid NOT NULL CONSTRAINT capability_owners_action
        REFERENCES sensor_actions (id) ON DELETE CASCADE,
    CONSTRAINT capability_owners_one PRIMARY KEY (depot_id, capability)
);
CREATE INDEX capability_owners_sensor_action_id ON capability_owners (sensor_action_id);

CREATE TABLE freshness_thresholds (
    microgrid_id uuid NOT NULL CONSTRAINT freshness_thresholds_microgrid REFERENCES microgrids (id),
    capability text NOT NULL,
    seconds double precision NOT NULL CONSTRAINT freshness_thresholds_seconds CHECK (seconds > 0),
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL,
    PRIMARY KEY (microgrid_id, capability)
);
"""

# One owner of a capability and depot among the actions that are switched on, whoever writes them. The primary
# key refuses the second one.
_OWNERS = """
CREATE FUNCTION sensor_actions_own_capabilities() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER sensor_actions_own_capabilities AFTER INSERT OR UPDATE ON sensor_actions
    FOR EACH ROW EXECUTE FUNCTION sensor_actions_own_capabilities();
"""

# What happened, in the order in which it was taken: nothing here is changed or deleted, and nothing refers to
# rows that may go, because history outlives its subject. Rows leave with their month, see keep_months.
_HISTORY = """
CREATE TABLE packets (
    id uuid NOT NULL DEFAULT uuidv7(),
    gateway_id uuid NOT NULL,
    depot_id uuid NOT NULL,
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    document jsonb NOT NULL,
    answers jsonb NOT NULL,
    PRIMARY KEY (gateway_id, observed_at, id, received_at)
) PARTITION BY RANGE (received_at);

CREATE TABLE capability_events (
    id uuid NOT NULL DEFAULT uuidv7(),
    microgrid_id uuid NOT NULL,
    capability text NOT NULL,
    status text CONSTRAINT capability_events_status CHECK (status IN ('ON', 'OFF')),
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    provider_event_ref text COLLATE "C" NOT NULL,
    source_device_id uuid,
    effect text NOT NULL CONSTRAINT capability_events_effect
        CHECK (effect IN ('SHOWN', 'LATE', 'UNAVAILABLE', 'REPEATED', 'CONFLICTING')),
    recorded_by text NOT NULL,
    PRIMARY KEY (microgrid_id, id, received_at)
) PARTITION BY RANGE (received_at);
CREATE INDEX capability_events_ref ON capability_events (microgrid_id, capability, provider_event_ref);

CREATE TABLE capacity_events (
    id uuid NOT NULL DEFAULT uuidv7(),
    circuit_id uuid NOT NULL,
    depot_id uuid NOT NULL,
    mode text NOT NULL CONSTRAINT capacity_events_mode
        CHECK (mode IN ('AWAITING', 'CONTROLLER', 'FAIL_SAFE', 'RELEASED')),
    reason text,
    capacity_w double precision,
    basis text,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (circuit_id, at, id, received_at)
) PARTITION BY RANGE (received_at);
"""

_LATEST = """
CREATE TABLE capability_latest (
    microgrid_id uuid NOT NULL CONSTRAINT capability_latest_microgrid REFERENCES microgrids (id),
    capability text NOT NULL,
    event_id uuid NOT NULL,
    status text NOT NULL CONSTRAINT capability_latest_status CHECK (status IN ('ON', 'OFF')),
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    provider_event_ref text COLLATE "C" NOT NULL,
    source_device_id uuid,
    PRIMARY KEY (microgrid_id, capability)
) WITH (fillfactor = 70);

CREATE TABLE power_source_readings (
    power_source_id uuid NOT NULL CONSTRAINT power_source_readings_power_source
        REFERENCES power_sources (id) ON DELETE CASCADE,
    measurand text NOT NULL,
    value_number double precision,
    value_text text,
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    device_id uuid NOT NULL,
    PRIMARY KEY (power_source_id, measurand),
    CONSTRAINT power_source_readings_value CHECK ((value_number IS NULL) <> (value_text IS NULL))
) WITH (fillfactor = 70);

-- No index on the deadline: it moves with every packet, and a scan of all circuits costs less than that.
CREATE TABLE circuit_capacities (
    circuit_id uuid PRIMARY KEY CONSTRAINT circuit_capacities_circuit REFERENCES circuits (id) ON DELETE CASCADE,
    depot_id uuid NOT NULL,
    sensor_action_id uuid NOT NULL CONSTRAINT circuit_capacities_action
        REFERENCES sensor_actions (id) ON DELETE CASCADE,
    mode text NOT NULL CONSTRAINT circuit_capacities_mode CHECK (mode IN ('AWAITING', 'CONTROLLER', 'FAIL_SAFE')),
    since timestamptz NOT NULL,
    deadline timestamptz,
    reason text,
    capacity_w double precision CONSTRAINT circuit_capacities_capacity CHECK (capacity_w >= 0),
    basis text,
    observed_at timestamptz,
    fail_safe_received_w double precision,
    fail_safe_observed_at timestamptz,
    heartbeat_threshold_seconds double precision NOT NULL,
    fail_safe_capacity_w double precision,
    CONSTRAINT circuit_capacities_fail_safe CHECK ((mode = 'FAIL_SAFE') = (reason IS NOT NULL)),
    CONSTRAINT circuit_capacities_known CHECK ((mode = 'AWAITING') = (capacity_w IS NULL)),
    CONSTRAINT circuit_capacities_deadline CHECK ((mode = 'FAIL_SAFE') = (deadline IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX circuit_capacities_sensor_action_id ON circuit_capacities (sensor_action_id);
CREATE INDEX circuit_capacities_depot_id ON circuit_capacities (depot_id);

CREATE TABLE remediations (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    depot_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    device_id uuid NOT NULL,
    sensor_action_id uuid NOT NULL,
    action text NOT NULL,
    code text NOT NULL,
    candidates uuid[] NOT NULL,
    opened_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    times bigint NOT NULL,
    closed_at timestamptz,
    closed_by text,
    CONSTRAINT remediations_closed CHECK ((closed_at IS NULL) = (closed_by IS NULL))
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX remediations_one_open ON remediations (sensor_action_id) WHERE closed_at IS NULL;
CREATE INDEX remediations_depot_id ON remediations (depot_id, id);
"""

# Months are made ahead and dropped when they are old enough, by whoever may call this function: the
# application's role owns no table, so it cannot do it otherwise, and the bounds keep it from doing harm.
_PARTITIONS = """
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION forbid_changes(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    held record;
BEGIN
    FOR held IN
        SELECT DISTINCT r.rolname FROM pg_class AS c, aclexplode(c.relacl) AS a, pg_roles AS r
        WHERE c.oid = relation AND r.oid = a.grantee AND a.grantee <> c.relowner
          AND a.privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE')
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM %I', relation, held.rolname);
    END LOOP;
END $$;

CREATE FUNCTION keep_months(months_ahead integer, months_kept integer)
    RETURNS TABLE (partition_name text, change text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent text;
    month timestamptz;
    this_month timestamptz := date_trunc('month', now(), 'UTC');
    old record;
BEGIN
    IF months_ahead NOT BETWEEN 1 AND 24 OR months_kept NOT BETWEEN 2 AND 1200 THEN
        RAISE EXCEPTION 'between 1 and 24 months are made ahead, and between 2 and 1200 are kept'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('keep_months', 0));
    FOREACH parent IN ARRAY ARRAY['packets', 'capability_events', 'capacity_events'] LOOP
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
            PERFORM forbid_changes(partition_name::regclass);
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

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON packets FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON capability_events FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON capacity_events FOR EACH ROW EXECUTE FUNCTION append_only();
SELECT forbid_changes('packets'), forbid_changes('capability_events'), forbid_changes('capacity_events');
SELECT keep_months(3, 1200);
"""

# Whoever watches a microgrid hears that its structure changed, whatever changed it.
_NOTIFY = """
CREATE FUNCTION microgrids_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM new_rows) > 20 THEN
        -- A backfill makes thousands at once: whoever watches any of them looks again.
        PERFORM pg_notify('microgrid_events', '* STRUCTURE');
    ELSE
        PERFORM pg_notify('microgrid_events', depot_id::text || ' STRUCTURE')
        FROM (SELECT DISTINCT depot_id FROM new_rows) AS touched;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER microgrids_inserted AFTER INSERT ON microgrids
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION microgrids_changed();
CREATE TRIGGER microgrids_updated AFTER UPDATE ON microgrids
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION microgrids_changed();
"""


def upgrade() -> None:
    for script in (_CONFIGURATION, _OWNERS, _HISTORY, _LATEST, _PARTITIONS, _NOTIFY):
        for statement in statements(script):
            op.execute(statement)


def downgrade() -> None:
    for trigger in ("microgrids_inserted", "microgrids_updated"):
        op.execute(f"DROP TRIGGER {trigger} ON microgrids")
    for table in (
        "remediations", "circuit_capacities", "power_source_readings", "capability_latest", "capacity_events",
        "capability_events", "packets", "freshness_thresholds", "capability_owners", "sensor_actions",
    ):  # fmt: skip
        op.execute(f"DROP TABLE {table}")
    for function in (
        "microgrids_changed", "keep_months", "forbid_changes", "append_only", "sensor_actions_own_capabilities",
    ):  # fmt: skip
        op.execute(f"DROP FUNCTION {function}")
    op.execute("ALTER TABLE devices DROP CONSTRAINT devices_id_depot")
