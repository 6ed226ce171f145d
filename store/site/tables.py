"""The tables of a site as it is configured, with what follows from its configuration at once."""

from __future__ import annotations

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
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from domain.base.jobs import JobState
from domain.base.names import MAX_CONTROLLER_LENGTH, MAX_ID_LENGTH, MAX_NAME_LENGTH, MAX_REGION_LENGTH, MAX_TAGS
from domain.monitoring.freshness import DepotFreshness
from domain.provisioning.outcomes import ProvisioningState
from domain.site.circuit_capacity import CapacityMode
from domain.site.routing import PowerSourceKind
from domain.site.sensor_actions import SensorActionKind
from store.base.metadata import id_column, made_columns, metadata, now_column, text_check, time_column, word_check

depots = Table(
    "depots",
    metadata,
    id_column(),
    Column("name", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("provisioning", Text, nullable=False, server_default="PENDING"),
    Column("provisioning_code", Text),
    *made_columns(),
    # At the end, as the migrations left them.
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("allows_simulation", Boolean, nullable=False, server_default=text("false")),
    Column("region", Text),
    Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("retired_at", DateTime(timezone=True)),
    CheckConstraint("version >= 1", name="depots_version"),
    text_check("depots_region", "region", MAX_REGION_LENGTH),
    CheckConstraint(f"cardinality(tags) <= {MAX_TAGS}", name="depots_tags"),
    text_check("depots_name", "name", MAX_NAME_LENGTH),
    word_check("depots_provisioning", "provisioning", ProvisioningState),
    CheckConstraint("(provisioning = 'FAILED') = (provisioning_code IS NOT NULL)", name="depots_provisioning_code"),
    Index("depots_name_id", "name", "id"),
    Index("depots_retired", "name", "id", postgresql_where=text("retired_at IS NOT NULL")),
)

depot_list = Table(
    "depot_list",
    metadata,
    Column("depot_id", Uuid, ForeignKey("depots.id", name="depot_list_depot", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, nullable=False),
    Column("provisioning", Text, nullable=False),
    Column("freshness", Text, nullable=False, server_default="NONE"),
    Column("grams", ARRAY(Text), nullable=False),
    # In lower case, as they are filtered by.
    Column("region", Text),
    Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    # The name as it is sorted by (``natural_key``).
    Column("sort_key", Text(collation="C"), nullable=False, server_default=text("''")),
    Column("timezone", Text(collation="C"), nullable=False, server_default=text("''")),
    # The name as it is searched, and before each word of the time zone, the region and the tags a unit separator.
    Column("words", Text, nullable=False, server_default=text("''")),
    Column("labels", Text, nullable=False, server_default=text("''")),
    word_check("depot_list_freshness", "freshness", reversed(DepotFreshness)),
    Index("depot_list_name", "sort_key", "depot_id", postgresql_include=["name"]),
    Index("depot_list_provisioning", "provisioning", "sort_key", "depot_id", postgresql_include=["name"]),
    Index("depot_list_freshness_name", "freshness", "sort_key", "depot_id", postgresql_include=["name"]),
    Index("depot_list_both", "provisioning", "freshness", "sort_key", "depot_id", postgresql_include=["name"]),
    Index("depot_list_grams", "grams", postgresql_using="gin"),
    Index("depot_list_region", "region", "sort_key", "depot_id", postgresql_include=["name"]),
    Index("depot_list_tags", "tags", postgresql_using="gin"),
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

# A row a depot that needs attention, kept by triggers. The rule is `domain/monitoring/alarms.py`, in SQL `alarms_of()`.
depot_alarms = Table(
    "depot_alarms",
    metadata,
    Column(
        "depot_id",
        Uuid,
        ForeignKey("depot_list.depot_id", name="depot_alarms_depot", ondelete="CASCADE"),
        primary_key=True,
    ),
    # The highest priority (1) of its alarms, and since when it has it: by these the worst come first.
    Column("priority", Integer, nullable=False),
    time_column("since"),
    Column("silent_controllers", Integer, nullable=False),
    time_column("silent_since", null=True),
    Column("silent_run_id", Uuid),
    Column("fail_safe_circuits", Integer, nullable=False),
    time_column("fail_safe_since", null=True),
    Column("fail_safe_run_id", Uuid),
    Column("open_remediations", Integer, nullable=False),
    time_column("remediations_since", null=True),
    Column("remediations_run_id", Uuid),
    time_column("failed_since", null=True),
    time_column("stale_since", null=True),
    Column("stale_by_silence", Boolean, nullable=False),
    Column("stale_run_id", Uuid),
    Index("depot_alarms_worst", "priority", "since", "depot_id"),
    postgresql_with={"fillfactor": 70},
)

# What the depots of the list are ordered by, kept by triggers (`settle_ranks()`): each order has its number, the lowest
# first, in which a moment is told in microseconds since 1970, and its index.
_NOT_MEASURED = "'4000000000000000000'::bigint"
"""Comes after every load."""
depot_ranks = Table(
    "depot_ranks",
    metadata,
    Column(
        "depot_id",
        Uuid,
        ForeignKey("depot_list.depot_id", name="depot_ranks_depot", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("sort_key", Text(collation="C"), nullable=False),
    Column("worst", BigInteger, nullable=False),
    Column("provisioning", BigInteger, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("fail_safe", BigInteger, nullable=False),
    Column("remediations", BigInteger, nullable=False),
    Column("timezone", Text(collation="C"), nullable=False),
    Column("freshness", Text, nullable=False),
    # A bit a kind, in the order in which alarms are told.
    Column("alarms", Integer, nullable=False),
    # Settled when somebody asks for these orders.
    Column("load", BigInteger, nullable=False, server_default=text(_NOT_MEASURED)),
    Column("load_share", BigInteger, nullable=False, server_default=text(_NOT_MEASURED)),
    Index(
        "depot_ranks_provisioning", "provisioning", "sort_key", "depot_id", postgresql_include=["freshness", "alarms"]
    ),
    *(
        Index(
            f"depot_ranks_{name}",
            name,
            "sort_key",
            "depot_id",
            postgresql_include=["freshness", "provisioning", "alarms"],
        )
        for name in ("worst", "status", "fail_safe", "remediations", "timezone", "load", "load_share")
    ),
    postgresql_with={"fillfactor": 70},
)

load_settlement = Table(
    "load_settlement",
    metadata,
    # There is one row.
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    time_column("begun_at"),
    time_column("settled_at", null=True),
    CheckConstraint("id", name="load_settlement_once"),
)

saved_views = Table(
    "saved_views",
    metadata,
    id_column(),
    # None: the local administrator's.
    Column("owner_id", Uuid, ForeignKey("people.id", name="saved_views_owner", ondelete="CASCADE")),
    Column("name", Text, nullable=False),
    Column("filters", JSONB, nullable=False),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    now_column("created_at"),
    now_column("updated_at"),
    text_check("saved_views_name", "name", MAX_NAME_LENGTH),
    Index("saved_views_once", "owner_id", text("lower(name)"), unique=True, postgresql_nulls_not_distinct=True),
)

circuits = Table(
    "circuits",
    metadata,
    id_column(),
    Column("depot_id", Uuid, ForeignKey("depots.id", name="circuits_depot"), nullable=False),
    Column("parent_id", Uuid),
    Column("name", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("rated_power_w", Double),
    *made_columns(),
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
    text_check("circuits_name", "name", MAX_NAME_LENGTH),
    CheckConstraint("parent_id <> id", name="circuits_not_own_parent"),
    CheckConstraint("position >= 0", name="circuits_position"),
    CheckConstraint("rated_power_w > 0", name="circuits_rated_power"),
    Index("circuits_parent_id", "parent_id"),
)

gateways = Table(
    "gateways",
    metadata,
    id_column(),
    Column("depot_id", Uuid, ForeignKey("depots.id", name="gateways_depot"), nullable=False),
    Column("name", Text, nullable=False),
    Column("site_model_name", Text),
    Column("output_translation", JSONB(none_as_null=True)),
    *made_columns(),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    CheckConstraint("version >= 1", name="gateways_version"),
    UniqueConstraint("id", "depot_id", name="gateways_id_depot"),
    text_check("gateways_name", "name", MAX_NAME_LENGTH),
    Index("gateways_depot_id", "depot_id"),
)

devices = Table(
    "devices",
    metadata,
    id_column(),
    Column("depot_id", Uuid, nullable=False),
    Column("gateway_id", Uuid, nullable=False),
    Column("sensor_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("circuit_id", Uuid),
    *made_columns(),
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
    text_check("devices_name", "name", MAX_NAME_LENGTH),
    text_check("devices_sensor_id", "sensor_id", MAX_ID_LENGTH),
    text_check("devices_controller", "controller", MAX_CONTROLLER_LENGTH),
    Index("devices_depot_id", "depot_id"),
    Index("devices_circuit_id", "circuit_id"),
    Index("devices_sensor_id", text("lower(sensor_id)"), "depot_id"),
)

power_sources = Table(
    "power_sources",
    metadata,
    id_column(),
    Column("depot_id", Uuid, ForeignKey("depots.id", name="power_sources_depot"), nullable=False),
    Column("circuit_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    *made_columns(),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    CheckConstraint("version >= 1", name="power_sources_version"),
    ForeignKeyConstraint(
        ["circuit_id", "depot_id"],
        ["circuits.id", "circuits.depot_id"],
        name="power_sources_circuit",
        ondelete="SET NULL (circuit_id)",
    ),
    word_check("power_sources_kind", "kind", PowerSourceKind),
    text_check("power_sources_name", "name", MAX_NAME_LENGTH),
    Index("power_sources_depot_id", "depot_id"),
    Index("power_sources_circuit_id", "circuit_id"),
)

microgrids = Table(
    "microgrids",
    metadata,
    id_column(),
    Column("depot_id", Uuid, ForeignKey("depots.id", name="microgrids_depot"), nullable=False),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("synced_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("retired_at", DateTime(timezone=True)),
    *made_columns(),
    CheckConstraint("version >= 1", name="microgrids_version"),
    # COR-8.10: never two active microgrids of one depot, whatever races.
    Index("microgrids_one_active", "depot_id", unique=True, postgresql_where=text("retired_at IS NULL")),
)

sensor_actions = Table(
    "sensor_actions",
    metadata,
    id_column(),
    Column("depot_id", Uuid, nullable=False),
    Column("device_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("measurands", ARRAY(Text), nullable=False),
    Column("heartbeat_threshold_seconds", Double),
    Column("fail_safe_capacity_w", Double),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    *made_columns(),
    UniqueConstraint("device_id", "action", name="sensor_actions_once"),
    ForeignKeyConstraint(
        ["device_id", "depot_id"], ["devices.id", "devices.depot_id"], name="sensor_actions_device", ondelete="CASCADE"
    ),
    word_check("sensor_actions_action", "action", SensorActionKind),
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
    time_column("at"),
    time_column("received_at"),
    Column("scenario_run_id", Uuid),
    PrimaryKeyConstraint("circuit_id", "at", "id", "received_at"),
    word_check("capacity_events_mode", "mode", (*CapacityMode, "RELEASED")),
    postgresql_partition_by="RANGE (received_at)",
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
    time_column("observed_at"),
    time_column("received_at"),
    Column("device_id", Uuid, nullable=False),
    # Whoever gave it gives it no longer: the next one takes its place. Triggers on devices and sensor_actions say so.
    Column("released", Boolean, nullable=False, server_default=text("false")),
    Column("scenario_run_id", Uuid),
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
    time_column("since"),
    time_column("deadline", null=True),
    Column("reason", Text),
    Column("capacity_w", Double),
    Column("basis", Text),
    time_column("observed_at", null=True),
    Column("fail_safe_received_w", Double),
    time_column("fail_safe_observed_at", null=True),
    time_column("received_at", null=True),
    time_column("fail_safe_received_at", null=True),
    # The settings of the action as the state was made with them; a change of the settings moves both together.
    Column("heartbeat_threshold_seconds", Double, nullable=False),
    Column("fail_safe_capacity_w", Double),
    Column("scenario_run_id", Uuid),
    Column("fail_safe_scenario_run_id", Uuid),
    word_check("circuit_capacities_mode", "mode", CapacityMode),
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
    id_column(),
    Column("depot_id", Uuid, nullable=False),
    Column("gateway_id", Uuid, nullable=False),
    Column("device_id", Uuid, nullable=False),
    Column("sensor_action_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("candidates", ARRAY(Uuid), nullable=False),
    time_column("opened_at"),
    time_column("last_seen_at"),
    Column("times", BigInteger, nullable=False),
    time_column("closed_at", null=True),
    Column("closed_by", Text),
    # The run that sent the last packet that was stopped.
    Column("scenario_run_id", Uuid),
    CheckConstraint("(closed_at IS NULL) = (closed_by IS NULL)", name="remediations_closed"),
    Index("remediations_one_open", "sensor_action_id", unique=True, postgresql_where=text("closed_at IS NULL")),
    Index("remediations_depot_id", "depot_id", "id"),
    Index("remediations_open", "depot_id", postgresql_where=text("closed_at IS NULL")),
    postgresql_with={"fillfactor": 70},
)

imports = Table(
    "imports",
    metadata,
    id_column(),
    Column("file_name", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    now_column("requested_at"),
    time_column("started_at", null=True),
    time_column("finished_at", null=True),
    Column("failure", Text),
    Column("bytes_read", BigInteger, nullable=False, server_default=text("0")),
    Column("lines", BigInteger, nullable=False, server_default=text("0")),
    # None until the file was read as a whole and sorted by depot.
    Column("lines_to_store", BigInteger),
    Column("lines_done", BigInteger, nullable=False, server_default=text("0")),
    # Lines by their kind, and by the code of their refusal.
    Column("stored", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # None until the last depot was stored.
    Column("unchanged", BigInteger),
    Column("refused", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("reported", Integer, nullable=False, server_default=text("0")),
    # The last depot of the last batch that was stored.
    Column("stored_upto", Uuid),
    word_check("imports_state", "state", JobState),
    Index("imports_open", "id", postgresql_where=text("finished_at IS NULL")),
)

import_parts = Table(
    "import_parts",
    metadata,
    Column("import_id", Uuid, ForeignKey("imports.id", name="import_parts_import"), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
"""The files of imports that have not ended, in pieces."""

import_refusals = Table(
    "import_refusals",
    metadata,
    Column("import_id", Uuid, ForeignKey("imports.id", name="import_refusals_import"), primary_key=True),
    Column("line", BigInteger, primary_key=True),
    Column("code", Text, nullable=False),
    Column("reason", Text),
    Column("field", Text),
    Column("kind", Text),
    Column("id", Uuid),
    Column("other_line", BigInteger),
    Column("other_id", Uuid),
    Index("import_refusals_code", "import_id", "code", "line"),
)
