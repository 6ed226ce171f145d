"""The tables of scenario runs and of their evidence."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Double, ForeignKey, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from domain.base.jobs import JobState
from domain.simulation.scenario_runs import RunOutcome
from store.base.metadata import id_column, metadata, now_column, time_column, word_check

scenario_runs = Table(
    "scenario_runs",
    metadata,
    id_column(),
    Column("scenario", Text, nullable=False),
    Column("title", Text, nullable=False),
    # The scenario as it was written.
    Column("document", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("depot_id", Uuid, ForeignKey("depots.id", name="scenario_runs_depot"), nullable=False),
    # Without a foreign key: a run outlives the gateway that it spoke for.
    Column("gateway_id", Uuid),
    Column("seed", BigInteger, nullable=False),
    Column("time_scale", Double, nullable=False),
    Column("bindings", JSONB, nullable=False),
    Column("targets", JSONB, nullable=False),
    Column("warnings", JSONB, nullable=False),
    Column("run_record", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text),
    Column("steps_total", Integer, nullable=False),
    Column("steps_done", Integer, nullable=False, server_default=text("0")),
    Column("packets_sent", BigInteger, nullable=False, server_default=text("0")),
    Column("checks_passed", Integer, nullable=False, server_default=text("0")),
    Column("checks_failed", Integer, nullable=False, server_default=text("0")),
    Column("result_record", Text),
    Column("evidence_sha256", Text),
    Column("requested_by", Text, nullable=False),
    now_column("requested_at"),
    time_column("started_at", null=True),
    time_column("finished_at", null=True),
    Column("failure", Text),
    CheckConstraint("time_scale >= 0 AND time_scale <= 1", name="scenario_runs_time_scale"),
    word_check("scenario_runs_state", "state", JobState),
    word_check("scenario_runs_outcome", "outcome", RunOutcome),
    CheckConstraint(
        "(finished_at IS NULL) = (state IN ('RUNNING', 'PAUSED')) AND (finished_at IS NULL) = (outcome IS NULL)",
        name="scenario_runs_finished",
    ),
    Index("scenario_runs_depot_id", "depot_id", "id"),
    # Two runs on one depot would answer each other's questions.
    Index("scenario_runs_one_active", "depot_id", unique=True, postgresql_where=text("finished_at IS NULL")),
)

scenario_run_steps = Table(
    "scenario_run_steps",
    metadata,
    Column("run_id", Uuid, ForeignKey("scenario_runs.id", name="scenario_run_steps_run"), primary_key=True),
    Column("step", Integer, primary_key=True),
    # The timestamp of the packets that the step measured; chosen before they are sent.
    Column("stamp_ms", BigInteger, nullable=False),
    # The step's line of the evidence, without its end; a trigger keeps it from ever changing.
    Column("record", Text),
    time_column("sent_at", null=True),
    CheckConstraint("(record IS NULL) = (sent_at IS NULL)", name="scenario_run_steps_sent"),
)
