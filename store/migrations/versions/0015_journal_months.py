"""The journal by month, append-only, with where a change came from; and how much history there is at least.

The journal's rows move to partitions of their month. The application's role can neither change them nor what the
migrations note of themselves, and the fewest months that are kept stand in a table that it may only read.
"""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TABLE = """
LOCK TABLE changes IN ACCESS EXCLUSIVE MODE;
ALTER TABLE changes RENAME TO changes_before;
ALTER INDEX changes_pkey RENAME TO changes_before_pkey;
ALTER INDEX changes_depot_id RENAME TO changes_before_depot_id;
ALTER SEQUENCE changes_id_seq RENAME TO changes_before_id_seq;
-- The names of what may not be null are a table's own; the new one is to have them.
DO $$
DECLARE
    held record;
BEGIN
    FOR held IN SELECT conname FROM pg_constraint WHERE conrelid = 'changes_before'::regclass AND contype = 'n' LOOP
        EXECUTE format(
            'ALTER TABLE changes_before RENAME CONSTRAINT %I TO %I', held.conname, 'before_' || held.conname);
    END LOOP;
END $$;

CREATE TABLE changes (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    depot_id uuid,
    subject_id uuid,
    detail jsonb NOT NULL DEFAULT '{}'::jsonb,
    -- Of the request in which it was made: the transaction knows, so that no statement need say it.
    request_id text DEFAULT nullif(current_setting('manage.request_id', true), ''),
    client text DEFAULT nullif(current_setting('manage.client', true), ''),
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX changes_depot_id ON changes (depot_id, id);
CREATE INDEX changes_actor ON changes (actor, id);
CREATE INDEX changes_action ON changes (action, id);
"""

_FLOORS = """
CREATE TABLE retention_floors (
    name text PRIMARY KEY CONSTRAINT retention_floors_name CHECK (name IN ('history', 'journal')),
    months integer NOT NULL CONSTRAINT retention_floors_months CHECK (months BETWEEN 2 AND 1200)
);
INSERT INTO retention_floors (name, months) VALUES ('history', 2), ('journal', 12);
"""

# The function of before had the same name and two parameters: the version before goes on calling it.
_KEEP = """
DROP FUNCTION keep_months(integer, integer);

CREATE FUNCTION keep_months_of(parents text[], floor_name text, months_ahead integer, months_kept integer)
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
REVOKE EXECUTE ON FUNCTION keep_months_of(text[], text, integer, integer) FROM PUBLIC;

CREATE FUNCTION keep_months(months_ahead integer, months_kept integer, journal_months_kept integer)
    RETURNS TABLE (partition_name text, change text)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM keep_months_of(
        ARRAY['packets', 'capability_events', 'capacity_events'], 'history', months_ahead, months_kept)
    UNION ALL
    SELECT * FROM keep_months_of(ARRAY['changes'], 'journal', months_ahead, journal_months_kept)
$$;

-- What the version before calls: it knows nothing of the journal's months, so none of them is dropped.
CREATE FUNCTION keep_months(months_ahead integer, months_kept integer)
    RETURNS TABLE (partition_name text, change text)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM keep_months(months_ahead, months_kept, 1200)
$$;
"""

_ROWS = """
DO $$
DECLARE
    month timestamptz;
BEGIN
    FOR month IN
        SELECT n AT TIME ZONE 'UTC' FROM generate_series(
            date_trunc('month', (SELECT min(at) FROM changes_before) AT TIME ZONE 'UTC'),
            date_trunc('month', now() AT TIME ZONE 'UTC') - interval '2 months', interval '1 month') AS n
    LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF changes FOR VALUES FROM (%L) TO (%L)',
            'changes_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM'),
            month, (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
        );
        PERFORM forbid_changes(('changes_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM'))::regclass);
    END LOOP;
END $$;
SELECT keep_months(3, 1200, 1200);
INSERT INTO changes (id, at, actor, action, depot_id, subject_id, detail, request_id, client) OVERRIDING SYSTEM VALUE
SELECT id, at, actor, action, depot_id, subject_id, detail, NULL, NULL FROM changes_before;
SELECT setval('changes_id_seq', greatest(max(id), 1), max(id) IS NOT NULL) FROM changes;
DROP TABLE changes_before;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON changes FOR EACH ROW EXECUTE FUNCTION append_only();
SELECT forbid_changes('changes');
"""

_READ_ONLY = """
DO $$
DECLARE
    held record;
BEGIN
    FOR held IN
        SELECT DISTINCT c.oid::regclass AS relation, r.rolname
        FROM pg_class AS c, aclexplode(c.relacl) AS a, pg_roles AS r
        WHERE c.oid IN ('alembic_version'::regclass, 'retention_floors'::regclass)
          AND r.oid = a.grantee AND a.grantee <> c.relowner AND a.privilege_type <> 'SELECT'
    LOOP
        EXECUTE format(
            'REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %s FROM %I', held.relation, held.rolname);
    END LOOP;
END $$;
"""

_DOWN = """
CREATE TABLE changes_after (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    depot_id uuid,
    subject_id uuid,
    detail jsonb NOT NULL DEFAULT '{}'::jsonb
);
INSERT INTO changes_after (id, at, actor, action, depot_id, subject_id, detail) OVERRIDING SYSTEM VALUE
SELECT id, at, actor, action, depot_id, subject_id, detail FROM changes;
DROP TABLE changes;
ALTER TABLE changes_after RENAME TO changes;
ALTER INDEX changes_after_pkey RENAME TO changes_pkey;
ALTER SEQUENCE changes_after_id_seq RENAME TO changes_id_seq;
SELECT setval('changes_id_seq', greatest(max(id), 1), max(id) IS NOT NULL) FROM changes;
CREATE INDEX changes_depot_id ON changes (depot_id, id);
DROP FUNCTION keep_months(integer, integer);
DROP FUNCTION keep_months(integer, integer, integer);
DROP FUNCTION keep_months_of(text[], text, integer, integer);
DROP TABLE retention_floors;
"""


def upgrade() -> None:
    for script in (_TABLE, _FLOORS, _KEEP, _ROWS, _READ_ONLY):
        for statement in statements(script):
            op.execute(statement)


def downgrade() -> None:
    for statement in statements(_DOWN):
        op.execute(statement)
    # The function as the second migration made it.
    op.execute(_KEEP_BEFORE)


_KEEP_BEFORE = """
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
END $$
"""
