"""The tables, as SQLAlchemy Core sees them. The migrations are what makes them; a test holds both together."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()


def _id() -> Column[Any]:
    return Column("id", Uuid, primary_key=True, server_default=text("uuidv7()"))


def _now(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _made() -> list[Column[Any]]:
    """Who made and who last changed a row, and when."""
    return [
        _now("created_at"),
        Column("created_by", Text, nullable=False),
        _now("updated_at"),
        Column("updated_by", Text, nullable=False),
    ]


depots = Table(
    "depots",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("provisioning", Text, nullable=False, server_default="PENDING"),
    Column("provisioning_code", Text),
    *_made(),
    CheckConstraint("btrim(name) <> '' AND char_length(name) <= 200", name="depots_name"),
    CheckConstraint("provisioning IN ('PENDING', 'PROVISIONED', 'FAILED')", name="depots_provisioning"),
    CheckConstraint("(provisioning = 'FAILED') = (provisioning_code IS NOT NULL)", name="depots_provisioning_code"),
    Index("depots_name_id", "name", "id"),
)

circuits = Table(
    "circuits",
    metadata,
    _id(),
    Column("depot_id", Uuid, ForeignKey("depots.id", name="circuits_depot"), nullable=False),
    Column("parent_id", Uuid),
    Column("name", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("rated_power_w", Double),
    *_made(),
    # The parent is of the same depot because its key carries the depot.
    ForeignKeyConstraint(["parent_id", "depot_id"], ["circuits.id", "circuits.depot_id"], name="circuits_parent"),
    UniqueConstraint("id", "depot_id", name="circuits_id_depot"),
    UniqueConstraint(
        "depot_id",
        "parent_id",
        "position",
        name="circuits_place",
        deferrable=True,
        initially="DEFERRED",
        postgresql_nulls_not_distinct=True,
    ),
    CheckConstraint("btrim(name) <> '' AND char_length(name) <= 200", name="circuits_name"),
    CheckConstraint("parent_id <> id", name="circuits_not_own_parent"),
    CheckConstraint("position >= 0", name="circuits_position"),
    CheckConstraint("rated_power_w > 0", name="circuits_rated_power"),
    Index("circuits_parent_id", "parent_id"),
)

gateways = Table(
    "gateways",
    metadata,
    _id(),
    Column("depot_id", Uuid, ForeignKey("depots.id", name="gateways_depot"), nullable=False),
    Column("name", Text, nullable=False),
    Column("site_model_name", Text),
    Column("output_translation", JSONB(none_as_null=True)),
    *_made(),
    UniqueConstraint("id", "depot_id", name="gateways_id_depot"),
    CheckConstraint("btrim(name) <> '' AND char_length(name) <= 200", name="gateways_name"),
    Index("gateways_depot_id", "depot_id"),
)

devices = Table(
    "devices",
    metadata,
    _id(),
    Column("depot_id", Uuid, nullable=False),
    Column("gateway_id", Uuid, nullable=False),
    Column("sensor_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("circuit_id", Uuid),
    *_made(),
    ForeignKeyConstraint(["gateway_id", "depot_id"], ["gateways.id", "gateways.depot_id"], name="devices_gateway"),
    ForeignKeyConstraint(
        ["circuit_id", "depot_id"],
        ["circuits.id", "circuits.depot_id"],
        name="devices_circuit",
        ondelete="SET NULL (circuit_id)",
    ),
    UniqueConstraint("gateway_id", "sensor_id", name="devices_sensor"),
    CheckConstraint("btrim(name) <> '' AND char_length(name) <= 200", name="devices_name"),
    CheckConstraint("btrim(sensor_id) <> '' AND char_length(sensor_id) <= 200", name="devices_sensor_id"),
    Index("devices_depot_id", "depot_id"),
    Index("devices_circuit_id", "circuit_id"),
)

power_sources = Table(
    "power_sources",
    metadata,
    _id(),
    Column("depot_id", Uuid, ForeignKey("depots.id", name="power_sources_depot"), nullable=False),
    Column("circuit_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    *_made(),
    ForeignKeyConstraint(
        ["circuit_id", "depot_id"],
        ["circuits.id", "circuits.depot_id"],
        name="power_sources_circuit",
        ondelete="SET NULL (circuit_id)",
    ),
    CheckConstraint("kind IN ('BATTERY', 'SOLAR', 'GENERATOR')", name="power_sources_kind"),
    CheckConstraint("btrim(name) <> '' AND char_length(name) <= 200", name="power_sources_name"),
    Index("power_sources_depot_id", "depot_id"),
    Index("power_sources_circuit_id", "circuit_id"),
)

microgrids = Table(
    "microgrids",
    metadata,
    _id(),
    Column("depot_id", Uuid, ForeignKey("depots.id", name="microgrids_depot"), nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("synced_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("retired_at", DateTime(timezone=True)),
    *_made(),
    CheckConstraint("version >= 1", name="microgrids_version"),
    # COR-8.10: never two active microgrids of one depot, whatever races.
    Index("microgrids_one_active", "depot_id", unique=True, postgresql_where=text("retired_at IS NULL")),
)

microgrid_nodes = Table(
    "microgrid_nodes",
    metadata,
    _id(),
    Column("microgrid_id", Uuid, ForeignKey("microgrids.id", name="microgrid_nodes_microgrid"), nullable=False),
    Column("kind", Text, nullable=False, server_default="GRID_CONNECTION"),
    # No foreign key: a node outlives its circuit until the sync has seen the deletion.
    Column("circuit_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("position", Integer, nullable=False),
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
    _now("created_at"),
)

changes = Table(
    "changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _now("at"),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("depot_id", Uuid),
    Column("subject_id", Uuid),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Index("changes_depot_id", "depot_id", "id"),
)

backfills = Table(
    "backfills",
    metadata,
    _id(),
    Column("dry_run", Boolean, nullable=False),
    Column("page_size", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("depots_total", BigInteger),
    Column("requested_by", Text, nullable=False),
    _now("requested_at"),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("failure", Text),
    CheckConstraint(
        "state IN ('RUNNING', 'PAUSED', 'COMPLETED', 'CANCELLED', 'FAILED')",
        name="backfills_state",
    ),
)

backfill_pages = Table(
    "backfill_pages",
    metadata,
    Column("backfill_id", Uuid, ForeignKey("backfills.id", name="backfill_pages_backfill"), primary_key=True),
    Column("page", Integer, primary_key=True),
    Column("created", Integer, nullable=False),
    Column("already_provisioned", Integer, nullable=False),
    Column("no_top_level_circuits", Integer, nullable=False),
    _now("finished_at"),
)

backfill_outcomes = Table(
    "backfill_outcomes",
    metadata,
    Column("backfill_id", Uuid, ForeignKey("backfills.id", name="backfill_outcomes_backfill"), primary_key=True),
    Column("depot_id", Uuid, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("microgrid_id", Uuid),
    CheckConstraint(
        "outcome IN ('CREATED', 'ALREADY_PROVISIONED', 'NO_TOP_LEVEL_CIRCUITS')", name="backfill_outcomes_outcome"
    ),
)
