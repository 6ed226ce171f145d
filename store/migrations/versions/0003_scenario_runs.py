"""Runs of the depot simulation and their evidence, step by step."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_RUNS = """
CREATE TABLE scenario_runs (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    scenario text NOT NULL,
    title text NOT NULL,
    document text NOT NULL,
    digest text NOT NULL,
    depot_id uuid NOT NULL CONSTRAINT scenario_runs_depot REFERENCES depots (id),
    gateway_id uuid,
    seed bigint NOT NULL,
    time_scale double precision NOT NULL
        CONSTRAINT scenario_runs_time_scale CHECK (time_scale >= 0 AND time_scale <= 1),
    bindings jsonb NOT NULL,
    targets jsonb NOT NULL,
    warnings jsonb NOT NULL,
    run_record text NOT NULL,
    state text NOT NULL CONSTRAINT scenario_runs_state
        CHECK (state IN ('RUNNING', 'PAUSED', 'COMPLETED', 'CANCELLED', 'FAILED')),
    outcome text CONSTRAINT scenario_runs_outcome CHECK (outcome IN ('PASSED', 'FAILED', 'INCOMPLETE')),
    steps_total integer NOT NULL,
    steps_done integer NOT NULL DEFAULT 0,
    packets_sent bigint NOT NULL DEFAULT 0,
    checks_passed integer NOT NULL DEFAULT 0,
    checks_failed integer NOT NULL DEFAULT 0,
    result_record text,
    evidence_sha256 text,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    failure text,
    CONSTRAINT scenario_runs_finished
        CHECK ((finished_at IS NULL) = (state IN ('RUNNING', 'PAUSED')) AND (finished_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX scenario_runs_depot_id ON scenario_runs (depot_id, id);
CREATE UNIQUE INDEX scenario_runs_one_active ON scenario_runs (depot_id) WHERE finished_at IS NULL;

CREATE TABLE scenario_run_steps (
    run_id uuid NOT NULL CONSTRAINT scenario_run_steps_run REFERENCES scenario_runs (id),
    step integer NOT NULL,
    stamp_ms bigint NOT NULL,
    record text,
    sent_at timestamptz,
    PRIMARY KEY (run_id, step),
    CONSTRAINT scenario_run_steps_sent CHECK ((record IS NULL) = (sent_at IS NULL))
);
"""

# Evidence is written once, whoever writes.
_ONCE = """
CREATE FUNCTION scenario_run_steps_written_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the evidence of a step is written once' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER scenario_run_steps_written_once BEFORE UPDATE OR DELETE ON scenario_run_steps
    FOR EACH ROW WHEN (OLD.record IS NOT NULL) EXECUTE FUNCTION scenario_run_steps_written_once();
"""


def upgrade() -> None:
    for script in (_RUNS, _ONCE):
        for statement in statements(script):
            op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE scenario_run_steps")
    op.execute("DROP TABLE scenario_runs")
    op.execute("DROP FUNCTION scenario_run_steps_written_once")
