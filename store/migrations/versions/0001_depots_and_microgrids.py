"""Depots, circuits, site equipment, microgrids, the outbox and backfills."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MADE = """
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL"""

_TABLES = f"""
CREATE TABLE depots (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL CONSTRAINT depots_name CHECK (btrim(name) <> '' AND char_length(name) <= 200),
    timezone text NOT NULL,
    provisioning text NOT NULL DEFAULT 'PENDING'
        CONSTRAINT depots_provisioning CHECK (provisioning IN ('PENDING', 'PROVISIONED', 'FAILED')),
    provisioning_code text,{_MADE},
    CONSTRAINT depots_provisioning_code CHECK ((provisioning = 'FAILED') = (provisioning_code IS NOT NULL))
);
CREATE INDEX depots_name_id ON depots (name, id);

CREATE TABLE circuits (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    depot_id uuid NOT NULL CONSTRAINT circuits_depot REFERENCES depots (id),
    parent_id uuid CONSTRAINT circuits_not_own_parent CHECK (parent_id <> id),
    name text NOT NULL CONSTRAINT circuits_name CHECK (btrim(name) <> '' AND char_length(name) <= 200),
    position integer NOT NULL CONSTRAINT circuits_position CHECK (position >= 0),
    rated_power_w double precision CONSTRAINT circuits_rated_power CHECK (rated_power_w > 0),{_MADE},
    CONSTRAINT circuits_id_depot UNIQUE (id, depot_id),
    CONSTRAINT circuits_place UNIQUE NULLS NOT DISTINCT (depot_id, parent_id, position)
        DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT circuits_parent FOREIGN KEY (parent_id, depot_id) REFERENCES circuits (id, depot_id)
);
CREATE INDEX circuits_parent_id ON circuits (parent_id);

CREATE TABLE gateways (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    depot_id uuid NOT NULL CONSTRAINT gateways_depot REFERENCES depots (id),
    name text NOT NULL CONSTRAINT gateways_name CHECK (btrim(name) <> '' AND char_length(name) <= 200),
    site_model_name text,
    output_translation jsonb,{_MADE},
    CONSTRAINT gateways_id_depot UNIQUE (id, depot_id)
);
CREATE INDEX gateways_depot_id ON gateways (depot_id);

CREATE TABLE devices (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    depot_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    sensor_id text NOT NULL
        CONSTRAINT devices_sensor_id CHECK (btrim(sensor_id) <> '' AND char_length(sensor_id) <= 200),
    name text NOT NULL CONSTRAINT devices_name CHECK (btrim(name) <> '' AND char_length(name) <= 200),
    circuit_id uuid,{_MADE},
    CONSTRAINT devices_sensor UNIQUE (gateway_id, sensor_id),
    CONSTRAINT devices_gateway FOREIGN KEY (gateway_id, depot_id) REFERENCES gateways (id, depot_id),
    CONSTRAINT devices_circuit FOREIGN KEY (circuit_id, depot_id) REFERENCES circuits (id, depot_id)
        ON DELETE SET NULL (circuit_id)
);
CREATE INDEX devices_depot_id ON devices (depot_id);
CREATE INDEX devices_circuit_id ON devices (circuit_id);

CREATE TABLE power_sources (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    depot_id uuid NOT NULL CONSTRAINT power_sources_depot REFERENCES depots (id),
    circuit_id uuid,
    kind text NOT NULL CONSTRAINT power_sources_kind CHECK (kind IN ('BATTERY', 'SOLAR', 'GENERATOR')),
    name text NOT NULL CONSTRAINT power_sources_name CHECK (btrim(name) <> '' AND char_length(name) <= 200),{_MADE},
    CONSTRAINT power_sources_circuit FOREIGN KEY (circuit_id, depot_id) REFERENCES circuits (id, depot_id)
        ON DELETE SET NULL (circuit_id)
);
CREATE INDEX power_sources_depot_id ON power_sources (depot_id);
CREATE INDEX power_sources_circuit_id ON power_sources (circuit_id);

CREATE TABLE microgrids (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    depot_id uuid NOT NULL CONSTRAINT microgrids_depot REFERENCES depots (id),
    version bigint NOT NULL DEFAULT 1 CONSTRAINT microgrids_version CHECK (version >= 1),
    synced_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz,{_MADE}
);
CREATE UNIQUE INDEX microgrids_one_active ON microgrids (depot_id) WHERE retired_at IS NULL;

CREATE TABLE microgrid_nodes (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    microgrid_id uuid NOT NULL CONSTRAINT microgrid_nodes_microgrid REFERENCES microgrids (id),
    kind text NOT NULL DEFAULT 'GRID_CONNECTION'
        CONSTRAINT microgrid_nodes_kind CHECK (kind = 'GRID_CONNECTION'),
    circuit_id uuid NOT NULL,
    name text NOT NULL,
    position integer NOT NULL,
    CONSTRAINT microgrid_nodes_circuit UNIQUE (microgrid_id, circuit_id),
    CONSTRAINT microgrid_nodes_place UNIQUE (microgrid_id, position) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    depot_id uuid NOT NULL,
    reason text NOT NULL,
    requested_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    depot_id uuid,
    subject_id uuid,
    detail jsonb NOT NULL DEFAULT '{{}}'::jsonb
);
CREATE INDEX changes_depot_id ON changes (depot_id, id);

CREATE TABLE backfills (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    dry_run boolean NOT NULL,
    page_size integer NOT NULL,
    state text NOT NULL CONSTRAINT backfills_state
        CHECK (state IN ('RUNNING', 'PAUSED', 'COMPLETED', 'CANCELLED', 'FAILED')),
    depots_total bigint,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    failure text
);

CREATE TABLE backfill_pages (
    backfill_id uuid NOT NULL CONSTRAINT backfill_pages_backfill REFERENCES backfills (id),
    page integer NOT NULL,
    created integer NOT NULL,
    already_provisioned integer NOT NULL,
    no_top_level_circuits integer NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (backfill_id, page)
);

CREATE TABLE backfill_outcomes (
    backfill_id uuid NOT NULL CONSTRAINT backfill_outcomes_backfill REFERENCES backfills (id),
    depot_id uuid NOT NULL,
    outcome text NOT NULL CONSTRAINT backfill_outcomes_outcome
        CHECK (outcome IN ('CREATED', 'ALREADY_PROVISIONED', 'NO_TOP_LEVEL_CIRCUITS')),
    microgrid_id uuid,
    PRIMARY KEY (backfill_id, depot_id)
);
"""

# The outbox is filled by triggers, so that no way of changing a circuit can forget it. Only what the
# microgrid shows counts: the set, the order and the names of the top-level circuits. An import provisions
# nothing, so under it only depots that have been provisioned (or have failed) ask for a sync.
_OUTBOX = """
CREATE FUNCTION request_sync(depots_changed uuid[], why text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (depot_id, reason, requested_by)
    SELECT d.id, why, coalesce(nullif(current_setting('manage.actor', true), ''), session_user)
    FROM depots AS d
    WHERE d.id = ANY (depots_changed)
      AND (d.provisioning <> 'PENDING' OR coalesce(current_setting('manage.importing', true), '') <> 'on');
    IF FOUND THEN
        PERFORM pg_notify('outbox', '');
    END IF;
END $$;

CREATE FUNCTION circuits_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM request_sync(array_agg(DISTINCT depot_id), 'CIRCUITS_CHANGED')
    FROM new_rows WHERE parent_id IS NULL HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION circuits_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM request_sync(array_agg(DISTINCT depot_id), 'CIRCUITS_CHANGED')
    FROM old_rows WHERE parent_id IS NULL HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION circuits_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM request_sync(array_agg(DISTINCT n.depot_id) || array_agg(DISTINCT o.depot_id), 'CIRCUITS_CHANGED')
    FROM old_rows AS o JOIN new_rows AS n USING (id)
    WHERE (o.parent_id IS NULL OR n.parent_id IS NULL)
      AND (o.depot_id, o.parent_id, o.name, o.position)
          IS DISTINCT FROM (n.depot_id, n.parent_id, n.name, n.position)
    HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION depots_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('manage.importing', true), '') <> 'on' THEN
        PERFORM request_sync(array_agg(id), 'DEPOT_CREATED') FROM new_rows HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER circuits_inserted AFTER INSERT ON circuits
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION circuits_inserted();
CREATE TRIGGER circuits_deleted AFTER DELETE ON circuits
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION circuits_deleted();
CREATE TRIGGER circuits_updated AFTER UPDATE ON circuits
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION circuits_updated();
CREATE TRIGGER depots_inserted AFTER INSERT ON depots
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION depots_inserted();
"""

# A parent can be set to a descendant only by an update, or within one statement that inserts both. The
# lock on the depot makes two concurrent reparents wait for each other, so that neither sees half.
_NO_CYCLES = """
CREATE FUNCTION circuits_no_cycle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM depots WHERE id = NEW.depot_id FOR NO KEY UPDATE;
    IF EXISTS (
        WITH RECURSIVE above AS (
            SELECT id, parent_id FROM circuits WHERE id = NEW.parent_id
            UNION
            SELECT c.id, c.parent_id FROM circuits AS c JOIN above AS a ON c.id = a.parent_id
        )
        SELECT 1 FROM above WHERE id = NEW.id
    ) THEN
        RAISE EXCEPTION 'circuit % would be its own ancestor', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'circuits_no_cycle';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER circuits_no_cycle BEFORE UPDATE OF parent_id ON circuits FOR EACH ROW
    WHEN (NEW.parent_id IS NOT NULL AND NEW.parent_id IS DISTINCT FROM OLD.parent_id)
    EXECUTE FUNCTION circuits_no_cycle();

CREATE FUNCTION circuits_inserted_no_cycle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Rows that hang on one another alone are not reached from a root or from an older circuit. One row by itself
    -- cannot do that: it is not its own parent.
    IF (SELECT count(*) FROM new_rows) > 1 THEN
        IF (
            WITH RECURSIVE reached AS (
                SELECT n.id FROM new_rows AS n
                WHERE n.parent_id IS NULL
                   OR NOT EXISTS (SELECT 1 FROM new_rows AS p WHERE p.id = n.parent_id)
                UNION ALL
                SELECT n.id FROM new_rows AS n JOIN reached AS r ON n.parent_id = r.id
            )
            SELECT count(*) FROM reached
        ) < (SELECT count(*) FROM new_rows) THEN
            RAISE EXCEPTION 'inserted circuits would be their own ancestors'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'circuits_no_cycle';
        END IF;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER circuits_inserted_no_cycle AFTER INSERT ON circuits
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION circuits_inserted_no_cycle();
"""


def upgrade() -> None:
    for script in (_TABLES, _OUTBOX, _NO_CYCLES):
        for statement in statements(script):
            op.execute(statement)


def downgrade() -> None:
    for table in (
        "backfill_outcomes", "backfill_pages", "backfills", "changes", "outbox", "microgrid_nodes", "microgrids",
        "power_sources", "devices", "gateways", "circuits", "depots",
    ):  # fmt: skip
        op.execute(f"DROP TABLE {table}")
    for function in (
        "circuits_inserted", "circuits_deleted", "circuits_updated", "depots_inserted", "circuits_no_cycle",
        "circuits_inserted_no_cycle", "request_sync(uuid[], text)",
    ):  # fmt: skip
        op.execute(f"DROP FUNCTION {function}")
