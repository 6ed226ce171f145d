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
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

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

depot_list = Table(
    "depot_list",
    metadata,
    Column("depot_id", Uuid, ForeignKey("depots.id", name="depot_list_depot", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, nullable=False),
    Column("provisioning", Text, nullable=False),
    Column("freshness", Text, nullable=False, server_default="NONE"),
    Column("grams", ARRAY(Text), nullable=False),
    CheckConstraint("freshness IN ('NONE', 'STALE', 'FRESH')", name="depot_list_freshness"),
    Index("depot_list_name", "name", "depot_id"),
    Index("depot_list_provisioning", "provisioning", "name", "depot_id"),
    Index("depot_list_freshness_name", "freshness", "name", "depot_id"),
    Index("depot_list_both", "provisioning", "freshness", "name", "depot_id"),
    Index("depot_list_grams", "grams", postgresql_using="gin"),
)

fresh_depots = Table(
    "fresh_depots",
    metadata,
    Column(
        "depot_id",
        Uuid,
        ForeignKey("depot_list.depot_id", name="fresh_depots_depot", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("fresh_until", DateTime(timezone=True), nullable=False),
    Index("fresh_depots_fresh_until", "fresh_until"),
    postgresql_with={"fillfactor": 70},
)

depot_counts = Table(
    "depot_counts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("provisioning", Text, nullable=False),
    Column("freshness", Text, nullable=False),
    Column("depots", BigInteger, nullable=False),
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
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    CheckConstraint("version >= 1", name="circuits_version"),
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
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    CheckConstraint("version >= 1", name="gateways_version"),
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
    Column("controller", Text),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    CheckConstraint("version >= 1", name="devices_version"),
    ForeignKeyConstraint(["gateway_id", "depot_id"], ["gateways.id", "gateways.depot_id"], name="devices_gateway"),
    ForeignKeyConstraint(
        ["circuit_id", "depot_id"],
        ["circuits.id", "circuits.depot_id"],
        name="devices_circuit",
        ondelete="SET NULL (circuit_id)",
    ),
    UniqueConstraint("gateway_id", "sensor_id", name="devices_sensor"),
    UniqueConstraint("id", "depot_id", name="devices_id_depot"),
    CheckConstraint("btrim(name) <> '' AND char_length(name) <= 200", name="devices_name"),
    CheckConstraint("btrim(sensor_id) <> '' AND char_length(sensor_id) <= 200", name="devices_sensor_id"),
    CheckConstraint("btrim(controller) <> '' AND char_length(controller) <= 100", name="devices_controller"),
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
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    CheckConstraint("version >= 1", name="power_sources_version"),
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
    Column("version", BigInteger, nullable=False, server_default=text("1")),
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

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("answer", Text, nullable=False),
    _now("created_at"),
    Index("idempotency_keys_created_at", "created_at"),
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
    Column("upto", Uuid),
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

sensor_actions = Table(
    "sensor_actions",
    metadata,
    _id(),
    Column("depot_id", Uuid, nullable=False),
    Column("device_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("measurands", ARRAY(Text), nullable=False),
    Column("heartbeat_threshold_seconds", Double),
    Column("fail_safe_capacity_w", Double),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    *_made(),
    UniqueConstraint("device_id", "action", name="sensor_actions_once"),
    ForeignKeyConstraint(
        ["device_id", "depot_id"], ["devices.id", "devices.depot_id"], name="sensor_actions_device", ondelete="CASCADE"
    ),
    CheckConstraint(
        "action IN ('UPDATE_MICROGRID_STATE', 'UPDATE_POWER_SOURCE_STATE', 'UPDATE_POWER_SOURCE_LOAD', "
        "'UPDATE_CIRCUIT_CAPACITY')",
        name="sensor_actions_action",
    ),
    CheckConstraint("cardinality(measurands) > 0", name="sensor_actions_measurands"),
    CheckConstraint(
        "(action = 'UPDATE_CIRCUIT_CAPACITY') = (heartbeat_threshold_seconds IS NOT NULL)",
        name="sensor_actions_threshold",
    ),
    CheckConstraint("fail_safe_capacity_w >= 0", name="sensor_actions_fail_safe"),
    Index("sensor_actions_depot_id", "depot_id"),
)

capability_owners = Table(
    "capability_owners",
    metadata,
    Column("depot_id", Uuid, nullable=False),
    Column("capability", Text, nullable=False),
    Column(
        "sensor_action_id",
        Uuid,
        ForeignKey("sensor_actions.id", name="capability_owners_action", ondelete="CASCADE"),
        nullable=False,
    ),
    # One source of a capability for a depot; a trigger on sensor_actions keeps the rows.
    PrimaryKeyConstraint("depot_id", "capability", name="capability_owners_one"),
    Index("capability_owners_sensor_action_id", "sensor_action_id"),
)

# Which device supplies a capability, or did so last, and how often it became another one. A trigger on sensor_actions
# keeps the rows; they outlive the devices.
capability_tenures = Table(
    "capability_tenures",
    metadata,
    Column("depot_id", Uuid, nullable=False),
    Column("capability", Text, nullable=False),
    Column("device_id", Uuid, nullable=False),
    Column("tenure", Integer, nullable=False),
    PrimaryKeyConstraint("depot_id", "capability", name="capability_tenures_one"),
    Index("capability_tenures_device_id", "device_id"),
    postgresql_with={"fillfactor": 70},
)

freshness_thresholds = Table(
    "freshness_thresholds",
    metadata,
    Column("microgrid_id", Uuid, ForeignKey("microgrids.id", name="freshness_thresholds_microgrid"), primary_key=True),
    Column("capability", Text, primary_key=True),
    Column("seconds", Double, nullable=False),
    _now("updated_at"),
    Column("updated_by", Text, nullable=False),
    CheckConstraint("seconds > 0", name="freshness_thresholds_seconds"),
)


def _time(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=null)


# History: append-only, partitioned by the month of arrival, without foreign keys because it outlives its subjects.
packets = Table(
    "packets",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("uuidv7()")),
    Column("gateway_id", Uuid, nullable=False),
    Column("depot_id", Uuid, nullable=False),
    _time("observed_at"),
    _time("received_at"),
    Column("document", JSONB, nullable=False),
    Column("answers", JSONB, nullable=False),
    PrimaryKeyConstraint("gateway_id", "observed_at", "id", "received_at"),
    postgresql_partition_by="RANGE (received_at)",
)

# The latest packet that each sensor of a gateway was in, by its effective time; whether or not a device stands for it.
# A trigger on packets keeps the rows.
sensor_sightings = Table(
    "sensor_sightings",
    metadata,
    Column(
        "gateway_id",
        Uuid,
        ForeignKey("gateways.id", name="sensor_sightings_gateway", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("sensor_id", Text, primary_key=True),
    Column("packet_id", Uuid, nullable=False),
    _time("observed_at"),
    _time("received_at"),
    postgresql_with={"fillfactor": 70},
)

capability_events = Table(
    "capability_events",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("uuidv7()")),
    Column("microgrid_id", Uuid, nullable=False),
    Column("capability", Text, nullable=False),
    Column("status", Text),
    _time("observed_at"),
    _time("received_at"),
    Column("provider_event_ref", Text(collation="C"), nullable=False),
    Column("source_device_id", Uuid),
    Column("effect", Text, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Column("tenure", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("microgrid_id", "id", "received_at"),
    CheckConstraint("status IN ('ON', 'OFF')", name="capability_events_status"),
    CheckConstraint(
        "effect IN ('SHOWN', 'LATE', 'UNAVAILABLE', 'REPEATED', 'CONFLICTING')", name="capability_events_effect"
    ),
    Index("capability_events_ref", "microgrid_id", "capability", "provider_event_ref"),
    postgresql_partition_by="RANGE (received_at)",
)

capacity_events = Table(
    "capacity_events",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("uuidv7()")),
    Column("circuit_id", Uuid, nullable=False),
    Column("depot_id", Uuid, nullable=False),
    Column("mode", Text, nullable=False),
    Column("reason", Text),
    Column("capacity_w", Double),
    Column("basis", Text),
    _time("at"),
    _time("received_at"),
    PrimaryKeyConstraint("circuit_id", "at", "id", "received_at"),
    CheckConstraint("mode IN ('AWAITING', 'CONTROLLER', 'FAIL_SAFE', 'RELEASED')", name="capacity_events_mode"),
    postgresql_partition_by="RANGE (received_at)",
)

capability_latest = Table(
    "capability_latest",
    metadata,
    Column("microgrid_id", Uuid, ForeignKey("microgrids.id", name="capability_latest_microgrid"), primary_key=True),
    Column("capability", Text, primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    _time("observed_at"),
    _time("received_at"),
    Column("provider_event_ref", Text(collation="C"), nullable=False),
    Column("source_device_id", Uuid),
    Column("tenure", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("status IN ('ON', 'OFF')", name="capability_latest_status"),
    postgresql_with={"fillfactor": 70},
)

power_source_readings = Table(
    "power_source_readings",
    metadata,
    Column(
        "power_source_id",
        Uuid,
        ForeignKey("power_sources.id", name="power_source_readings_power_source", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("measurand", Text, primary_key=True),
    Column("value_number", Double),
    Column("value_text", Text),
    _time("observed_at"),
    _time("received_at"),
    Column("device_id", Uuid, nullable=False),
    # Whoever gave it gives it no longer: the next one takes its place. Triggers on devices and sensor_actions say so.
    Column("released", Boolean, nullable=False, server_default=text("false")),
    Index("power_source_readings_device_id", "device_id"),
    CheckConstraint("(value_number IS NULL) <> (value_text IS NULL)", name="power_source_readings_value"),
    postgresql_with={"fillfactor": 70},
)

circuit_capacities = Table(
    "circuit_capacities",
    metadata,
    Column(
        "circuit_id",
        Uuid,
        ForeignKey("circuits.id", name="circuit_capacities_circuit", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("depot_id", Uuid, nullable=False),
    Column(
        "sensor_action_id",
        Uuid,
        ForeignKey("sensor_actions.id", name="circuit_capacities_action", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("mode", Text, nullable=False),
    _time("since"),
    _time("deadline", null=True),
    Column("reason", Text),
    Column("capacity_w", Double),
    Column("basis", Text),
    _time("observed_at", null=True),
    Column("fail_safe_received_w", Double),
    _time("fail_safe_observed_at", null=True),
    _time("received_at", null=True),
    _time("fail_safe_received_at", null=True),
    # The settings of the action as the state was made with them; a change of the settings moves both together.
    Column("heartbeat_threshold_seconds", Double, nullable=False),
    Column("fail_safe_capacity_w", Double),
    CheckConstraint("mode IN ('AWAITING', 'CONTROLLER', 'FAIL_SAFE')", name="circuit_capacities_mode"),
    CheckConstraint("capacity_w >= 0", name="circuit_capacities_capacity"),
    CheckConstraint("(mode = 'FAIL_SAFE') = (reason IS NOT NULL)", name="circuit_capacities_fail_safe"),
    CheckConstraint("(mode = 'AWAITING') = (capacity_w IS NULL)", name="circuit_capacities_known"),
    CheckConstraint("(mode = 'FAIL_SAFE') = (deadline IS NULL)", name="circuit_capacities_deadline"),
    Index("circuit_capacities_sensor_action_id", "sensor_action_id"),
    Index("circuit_capacities_depot_id", "depot_id"),
    postgresql_with={"fillfactor": 70},
)

remediations = Table(
    "remediations",
    metadata,
    _id(),
    Column("depot_id", Uuid, nullable=False),
    Column("gateway_id", Uuid, nullable=False),
    Column("device_id", Uuid, nullable=False),
    Column("sensor_action_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("candidates", ARRAY(Uuid), nullable=False),
    _time("opened_at"),
    _time("last_seen_at"),
    Column("times", BigInteger, nullable=False),
    _time("closed_at", null=True),
    Column("closed_by", Text),
    CheckConstraint("(closed_at IS NULL) = (closed_by IS NULL)", name="remediations_closed"),
    Index("remediations_one_open", "sensor_action_id", unique=True, postgresql_where=text("closed_at IS NULL")),
    Index("remediations_depot_id", "depot_id", "id"),
    postgresql_with={"fillfactor": 70},
)

scenario_runs = Table(
    "scenario_runs",
    metadata,
    _id(),
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
    _now("requested_at"),
    _time("started_at", null=True),
    _time("finished_at", null=True),
    Column("failure", Text),
    CheckConstraint("time_scale >= 0 AND time_scale <= 1", name="scenario_runs_time_scale"),
    CheckConstraint("state IN ('RUNNING', 'PAUSED', 'COMPLETED', 'CANCELLED', 'FAILED')", name="scenario_runs_state"),
    CheckConstraint("outcome IN ('PASSED', 'FAILED', 'INCOMPLETE')", name="scenario_runs_outcome"),
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
    _time("sent_at", null=True),
    CheckConstraint("(record IS NULL) = (sent_at IS NULL)", name="scenario_run_steps_sent"),
)
