"""Rollups of readings by minute, quarter of an hour and day, and the transaction that wrote each reading last.

The readings that are there count as written by this migration, so the first workflow rolls all of them up.
"""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_MEASURANDS = (
    "current", "frequency", "voltage", "line_voltage", "total_power_load", "total_reactive_power",
    "total_apparent_power", "total_power_factor", "phase_1n_voltage_thd", "phase_2n_voltage_thd",
    "phase_3n_voltage_thd", "available_charging_capacity", "fail_safe_capacity", "heartbeat_status",
    "limit_peak_shaving", "limit_der_export", "soc", "device_power_state", "bess_operational_mode",
)  # fmt: skip
_TEXTS = ("heartbeat_status", "device_power_state", "bess_operational_mode")
_OF_NUMBERS = """,
    {0}_least double precision,
    {0}_most double precision,
    {0}_weighted double precision,
    {0}_seconds double precision,
    {0}_last double precision"""
_OF_TEXTS = """,
    {0}_last text"""
_OF_ALL = """,
    {0}_readings integer,
    {0}_delayed integer,
    {0}_simulated integer,
    {0}_first_at timestamptz,
    {0}_last_at timestamptz"""
_ROLLUPS = """
CREATE TABLE {table} (
    device_id uuid NOT NULL,
    begins_at timestamptz NOT NULL,
    faults jsonb{columns},
    PRIMARY KEY (device_id, begins_at)
) PARTITION BY RANGE (begins_at);
"""

# The default holds for the release before, too. Nothing is rewritten: it is the same for all rows that are there.
_WRITTEN = """
ALTER TABLE device_readings ADD COLUMN written_in bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint;
CREATE INDEX device_readings_written_in ON device_readings USING brin (written_in) WITH (pages_per_range = 32);
CREATE FUNCTION readings_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.written_in := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$;
CREATE TRIGGER readings_changed BEFORE UPDATE ON device_readings
    FOR EACH ROW EXECUTE FUNCTION readings_changed();

CREATE TABLE rollup_mark (
    is_only boolean DEFAULT true PRIMARY KEY CONSTRAINT rollup_mark_one CHECK (is_only),
    mark bigint NOT NULL DEFAULT 0,
    next_transaction bigint NOT NULL DEFAULT 0,
    next_at timestamptz,
    noted_at timestamptz,
    complete_at timestamptz
);
INSERT INTO rollup_mark DEFAULT VALUES;

CREATE TABLE rollup_blocks (
    device_id uuid NOT NULL,
    block_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (device_id, block_at)
);
CREATE INDEX rollup_blocks_newest ON rollup_blocks (block_at DESC, device_id);
"""

# As it was, but for more tables that may be changed: rollups can be made again from the readings.
_KEEP_OF = """
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
            IF parent {made_again} THEN
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
"""
_MADE_AGAIN = "NOT IN ('device_readings', 'reading_minutes', 'reading_quarters', 'reading_days')"

# Minutes are kept as long as the readings that they are made from. The version before asks by three numbers: it makes
# the months of the wider rollups, and drops none.
_KEEP = """
CREATE FUNCTION keep_months(
        months_ahead integer, months_kept integer, journal_months_kept integer, rollup_months_kept integer)
    RETURNS TABLE (partition_name text, change text)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM keep_months_of(
        ARRAY['packets', 'capability_events', 'capacity_events', 'device_readings', 'reading_minutes'],
        'history', months_ahead, months_kept)
    UNION ALL
    SELECT * FROM keep_months_of(
        ARRAY['reading_quarters', 'reading_days'], 'history', months_ahead, greatest(rollup_months_kept, months_kept))
    UNION ALL
    SELECT * FROM keep_months_of(ARRAY['changes'], 'journal', months_ahead, journal_months_kept)
$$;

CREATE OR REPLACE FUNCTION keep_months(months_ahead integer, months_kept integer, journal_months_kept integer)
    RETURNS TABLE (partition_name text, change text)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM keep_months(months_ahead, months_kept, journal_months_kept, 1200)
$$;
"""
_KEEP_BEFORE = """
DROP FUNCTION keep_months(integer, integer, integer, integer);
CREATE OR REPLACE FUNCTION keep_months(months_ahead integer, months_kept integer, journal_months_kept integer)
    RETURNS TABLE (partition_name text, change text)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM keep_months_of(
        ARRAY['packets', 'capability_events', 'capacity_events', 'device_readings'],
        'history', months_ahead, months_kept)
    UNION ALL
    SELECT * FROM keep_months_of(ARRAY['changes'], 'journal', months_ahead, journal_months_kept)
$$;
"""

# A clock that runs ahead has readings of the month after; they count as measured when they came.
_MONTHS = """
DO $$
DECLARE
    month timestamp;
    parent text;
BEGIN
    FOR month IN
        SELECT to_date(right(c.relname, 7), 'YYYY_MM')
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'device_readings'::regclass
    LOOP
        FOREACH parent IN ARRAY ARRAY['reading_minutes', 'reading_quarters', 'reading_days'] LOOP
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                parent || '_' || to_char(month, 'YYYY_MM'), parent,
                month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
            );
        END LOOP;
    END LOOP;
END $$;
"""
_TABLES = ("reading_minutes", "reading_quarters", "reading_days")


def upgrade() -> None:
    columns = "".join(((_OF_TEXTS if name in _TEXTS else _OF_NUMBERS) + _OF_ALL).format(name) for name in _MEASURANDS)
    for table in _TABLES:
        op.execute(_ROLLUPS.format(table=table, columns=columns))
    for script in (_WRITTEN, _KEEP_OF.replace("{made_again}", _MADE_AGAIN), _MONTHS, _KEEP):
        for statement in statements(script):
            op.execute(statement)


def downgrade() -> None:
    for statement in statements(_KEEP_BEFORE + _KEEP_OF.replace("{made_again}", "<> 'device_readings'")):
        op.execute(statement)
    for table in (*_TABLES, "rollup_blocks", "rollup_mark"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP TRIGGER readings_changed ON device_readings")
    op.execute("DROP FUNCTION readings_changed()")
    op.execute("ALTER TABLE device_readings DROP COLUMN written_in")
