"""The tables of packets and of the capabilities' statuses, as they came and as they hold."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from domain.monitoring.capabilities import CapabilityStatus, FoldEffect
from domain.site.measurands import MEASURANDS, ValueKind
from store.base.metadata import metadata, now_column, time_column, word_check

_TYPES = {ValueKind.NUMBER: Double, ValueKind.TEXT: Text, ValueKind.BOOLEAN_TEXT: Boolean}

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
    now_column("updated_at"),
    Column("updated_by", Text, nullable=False),
    CheckConstraint("seconds > 0", name="freshness_thresholds_seconds"),
)

# History: append-only, partitioned by the month of arrival, without foreign keys because it outlives its subjects.
packets = Table(
    "packets",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("uuidv7()")),
    Column("gateway_id", Uuid, nullable=False),
    Column("depot_id", Uuid, nullable=False),
    time_column("observed_at"),
    time_column("received_at"),
    Column("document", JSONB, nullable=False),
    Column("answers", JSONB, nullable=False),
    # The scenario run that sent it; of what is no simulated packet NULL. The same column stands with all that packets
    # bring about.
    Column("scenario_run_id", Uuid),
    PrimaryKeyConstraint("gateway_id", "observed_at", "id", "received_at"),
    postgresql_partition_by="RANGE (received_at)",
)

# What devices measured, read from the packets by the domain's rules: each measurand once for a time of measurement, in
# a column of its own. `faults` has those that came without a value that can be used, each with its code.
device_readings = Table(
    "device_readings",
    metadata,
    Column("device_id", Uuid, nullable=False),
    time_column("observed_at"),
    time_column("received_at"),
    Column("faults", JSONB),
    *(Column(key.value.lower(), _TYPES[spec.kind]) for key, spec in MEASURANDS.items()),
    Column("scenario_run_id", Uuid),
    # The transaction that wrote it last: rollups find by it what changed.
    Column("written_in", BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")),
    PrimaryKeyConstraint("device_id", "observed_at"),
    Index("device_readings_written_in", "written_in", postgresql_using="brin", postgresql_with={"pages_per_range": 32}),
    Index(
        "device_readings_simulated",
        "device_id",
        "observed_at",
        postgresql_where=text("scenario_run_id IS NOT NULL"),
    ),
    postgresql_partition_by="RANGE (observed_at)",
)

# Which gateways' packets are still to be read into readings, for which of their devices, and how far that is. A trigger
# on devices asks for it where packets came before the device was made.
reading_fills = Table(
    "reading_fills",
    metadata,
    Column(
        "gateway_id",
        Uuid,
        ForeignKey("gateways.id", name="reading_fills_gateway", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("device_ids", ARRAY(Uuid), nullable=False),
    now_column("asked_at"),
    time_column("after_observed_at", null=True),
    Column("after_packet_id", Uuid),
    Column("packets_read", BigInteger, nullable=False, server_default=text("0")),
    time_column("finished_at", null=True),
    Index("reading_fills_open", "asked_at", "gateway_id", postgresql_where=text("finished_at IS NULL")),
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
    time_column("observed_at"),
    time_column("received_at"),
    postgresql_with={"fillfactor": 70},
)

capability_events = Table(
    "capability_events",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("uuidv7()")),
    Column("microgrid_id", Uuid, nullable=False),
    Column("capability", Text, nullable=False),
    Column("status", Text),
    time_column("observed_at"),
    time_column("received_at"),
    Column("provider_event_ref", Text(collation="C"), nullable=False),
    Column("source_device_id", Uuid),
    Column("effect", Text, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Column("tenure", Integer, nullable=False, server_default=text("0")),
    Column("scenario_run_id", Uuid),
    # The transaction that wrote it: rollups find by it what came.
    Column("written_in", BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")),
    PrimaryKeyConstraint("microgrid_id", "id", "received_at"),
    word_check("capability_events_status", "status", CapabilityStatus),
    word_check("capability_events_effect", "effect", FoldEffect),
    Index("capability_events_ref", "microgrid_id", "capability", "provider_event_ref"),
    Index(
        "capability_events_written_in", "written_in", postgresql_using="brin", postgresql_with={"pages_per_range": 32}
    ),
    # Finds the first and the last of those that say the same: where the status changed.
    Index(
        "capability_events_said",
        "microgrid_id",
        "capability",
        "status",
        text("(scenario_run_id IS NOT NULL)"),
        "tenure",
        text("least(observed_at, received_at)"),
        postgresql_where=text("effect IN ('SHOWN', 'LATE')"),
    ),
    postgresql_partition_by="RANGE (received_at)",
)

capability_latest = Table(
    "capability_latest",
    metadata,
    Column("microgrid_id", Uuid, ForeignKey("microgrids.id", name="capability_latest_microgrid"), primary_key=True),
    Column("capability", Text, primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    time_column("observed_at"),
    time_column("received_at"),
    Column("provider_event_ref", Text(collation="C"), nullable=False),
    Column("source_device_id", Uuid),
    Column("tenure", Integer, nullable=False, server_default=text("0")),
    Column("scenario_run_id", Uuid),
    # When the first of the events that say so without another one between them counts as seen. The version before did
    # not write it.
    time_column("since", null=True),
    word_check("capability_latest_status", "status", CapabilityStatus),
    postgresql_with={"fillfactor": 70},
)
