"""The tables of what is derived from circuits, of the outbox, and of backfills."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from domain.base.jobs import JobState
from domain.provisioning.backfill import BackfillOutcome
from store.base.metadata import id_column, metadata, now_column, word_check

microgrid_nodes = Table(
    "microgrid_nodes",
    metadata,
    id_column(),
    Column("microgrid_id", Uuid, ForeignKey("microgrids.id", name="microgrid_nodes_microgrid"), nullable=False),
    Column("kind", Text, nullable=False, server_default="GRID_CONNECTION"),
    # No foreign key: a node outlives its circuit until the sync has seen the deletion.
    Column("circuit_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("position", Integer, nullable=False),
    # None: as old as the microgrid, as far as is known.
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
    CheckConstraint("kind = 'GRID_CONNECTION'", name="microgrid_nodes_kind"),
    UniqueConstraint("microgrid_id", "circuit_id", name="microgrid_nodes_circuit"),
    UniqueConstraint("microgrid_id", "position", name="microgrid_nodes_place", deferrable=True, initially="DEFERRED"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("depot_id", Uuid, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("request_id", Text, server_default=text("nullif(current_setting('manage.request_id', true), '')")),
    Column("traceparent", Text, server_default=text("nullif(current_setting('manage.traceparent', true), '')")),
)

backfills = Table(
    "backfills",
    metadata,
    id_column(),
    Column("dry_run", Boolean, nullable=False),
    Column("page_size", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("depots_total", BigInteger),
    Column("requested_by", Text, nullable=False),
    now_column("requested_at"),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("failure", Text),
    word_check("backfills_state", "state", JobState),
)

backfill_pages = Table(
    "backfill_pages",
    metadata,
    Column("backfill_id", Uuid, ForeignKey("backfills.id", name="backfill_pages_backfill"), primary_key=True),
    Column("page", Integer, primary_key=True),
    Column("created", Integer, nullable=False),
    Column("already_provisioned", Integer, nullable=False),
    Column("no_top_level_circuits", Integer, nullable=False),
    now_column("finished_at"),
    Column("upto", Uuid),
)

backfill_outcomes = Table(
    "backfill_outcomes",
    metadata,
    Column("backfill_id", Uuid, ForeignKey("backfills.id", name="backfill_outcomes_backfill"), primary_key=True),
    Column("depot_id", Uuid, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("microgrid_id", Uuid),
    word_check("backfill_outcomes_outcome", "outcome", BackfillOutcome),
)
