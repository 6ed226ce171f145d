"""Rollups of when capabilities were ON and OFF, and the transaction that wrote each capability event.

The events that are there count as written by this migration, so the first workflow of the new version rolls all of them
up. The version before knows nothing of it: how far events are looked through is kept apart from what it keeps.
"""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

_TABLES = ("band_quarters", "band_days")
_SEGMENTS = """
CREATE TABLE {table} (
    microgrid_id uuid NOT NULL,
    capability text NOT NULL,
    begins_at timestamptz NOT NULL,
    n integer NOT NULL,
    status text NOT NULL,
    tenure integer NOT NULL,
    scenario_run_id uuid,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    longest_gap interval NOT NULL,
    PRIMARY KEY (microgrid_id, capability, begins_at, n)
) PARTITION BY RANGE (begins_at);
"""

# The default holds for the release before, too. Nothing is rewritten: it is the same for all rows that are there.
_WRITTEN = """
ALTER TABLE capability_events ADD COLUMN written_in bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint;
CREATE INDEX capability_events_written_in ON capability_events USING brin (written_in) WITH (pages_per_range = 32);

CREATE TABLE band_mark (
    is_only boolean DEFAULT true PRIMARY KEY CONSTRAINT band_mark_one CHECK (is_only),
    mark bigint NOT NULL DEFAULT 0,
    next_transaction bigint NOT NULL DEFAULT 0,
    next_at timestamptz,
    noted_at timestamptz,
    complete_at timestamptz
);
INSERT INTO band_mark DEFAULT VALUES;

CREATE TABLE band_blocks (
    microgrid_id uuid NOT NULL,
    block_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (microgrid_id, block_at)
);
CREATE INDEX band_blocks_newest ON band_blocks (block_at DESC, microgrid_id);
"""

# As it was, but for more tables that may be changed: they can be made again from the events.
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
            IF parent NOT IN ({made_again}) THEN
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
_MADE_AGAIN = "'device_readings', 'reading_minutes', 'reading_quarters', 'reading_days'"

# Segments are kept as long as the events: under a short threshold these say what a segment comes to.
_KEEP = """
CREATE OR REPLACE FUNCTION keep_months(
        months_ahead integer, months_kept integer, journal_months_kept integer, rollup_months_kept integer)
    RETURNS TABLE (partition_name text, change text)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM keep_months_of(
        ARRAY['packets', 'capability_events', {bands}'capacity_events', 'device_readings', 'reading_minutes'],
        'history', months_ahead, months_kept)
    UNION ALL
    SELECT * FROM keep_months_of(
        ARRAY['reading_quarters', 'reading_days'], 'history', months_ahead, greatest(rollup_months_kept, months_kept))
    UNION ALL
    SELECT * FROM keep_months_of(ARRAY['changes'], 'journal', months_ahead, journal_months_kept)
$$;
"""

# An event counts as seen when it came, or earlier: never in a month after those of the events.
_MONTHS = """
DO $$
DECLARE
    month timestamp;
    parent text;
BEGIN
    FOR month IN
        SELECT to_date(right(c.relname, 7), 'YYYY_MM')
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'capability_events'::regclass
    LOOP
        FOREACH parent IN ARRAY ARRAY['band_quarters', 'band_days'] LOOP
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                parent || '_' || to_char(month, 'YYYY_MM'), parent,
                month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
            );
        END LOOP;
    END LOOP;
END $$;
"""


def upgrade() -> None:
    for table in _TABLES:
        op.execute(_SEGMENTS.format(table=table))
    made_again = f"{_MADE_AGAIN}, 'band_quarters', 'band_days'"
    bands = "'band_quarters', 'band_days', "
    for script in (
        _WRITTEN, _KEEP_OF.replace("{made_again}", made_again), _MONTHS, _KEEP.replace("{bands}", bands),
    ):  # fmt: skip
        for statement in statements(script):
            op.execute(statement)


def downgrade() -> None:
    for statement in statements(_KEEP.replace("{bands}", "") + _KEEP_OF.replace("{made_again}", _MADE_AGAIN)):
        op.execute(statement)
    for table in (*_TABLES, "band_blocks", "band_mark"):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE capability_events DROP COLUMN written_in")
