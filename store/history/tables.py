"""The tables of rollups and bands, of what is still to be rolled up, and of what a site was before it changed."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from domain.base.jobs import JobState
from domain.site.measurands import MEASURANDS
from store.base.metadata import id_column, metadata, now_column, time_column, word_check
from store.history.rolling.band_statements import BANDS
from store.history.rollup_statements import TABLES, parts_of, rollup_column

_TYPES = {
    "double precision": Double,
    "integer": Integer,
    "text": Text,
    "timestamp with time zone": DateTime(timezone=True),
}

# What each measurand of a device came to in each minute, quarter of an hour and day (UTC), made from the readings.
rollups = {
    width: Table(
        name,
        metadata,
        Column("device_id", Uuid, primary_key=True),
        Column("begins_at", DateTime(timezone=True), primary_key=True),
        Column("faults", JSONB),
        *(Column(rollup_column(key, part), _TYPES[kind]) for key in MEASURANDS for part, kind in parts_of(key).items()),
        postgresql_partition_by="RANGE (begins_at)",
    )
    for width, name in TABLES.items()
}

# When each capability of a microgrid was ON and OFF in each quarter of an hour and day (UTC), as segments, numbered.
bands = {
    width: Table(
        name,
        metadata,
        Column("microgrid_id", Uuid, primary_key=True),
        Column("capability", Text, primary_key=True),
        Column("begins_at", DateTime(timezone=True), primary_key=True),
        Column("n", Integer, primary_key=True, autoincrement=False),
        Column("status", Text, nullable=False),
        Column("tenure", Integer, nullable=False),
        Column("scenario_run_id", Uuid),
        time_column("first_at"),
        time_column("last_at"),
        Column("longest_gap", Interval, nullable=False),
        postgresql_partition_by="RANGE (begins_at)",
    )
    for width, name in BANDS.items()
}


def _mark(name: str) -> Table:
    """Up to which transaction a source has been looked through for rollups, and when that was. One row."""
    return Table(
        name,
        metadata,
        Column("is_only", Boolean, primary_key=True, server_default=text("true")),
        Column("mark", BigInteger, nullable=False, server_default=text("0")),
        Column("next_transaction", BigInteger, nullable=False, server_default=text("0")),
        time_column("next_at", null=True),
        time_column("noted_at", null=True),
        time_column("complete_at", null=True),
        CheckConstraint("is_only", name=f"{name}_one"),
    )


rollup_mark = _mark("rollup_mark")
band_mark = _mark("band_mark")

# Rollups that were held against their readings, with how far that is. The last hundred.
rollup_checks = Table(
    "rollup_checks",
    metadata,
    id_column(),
    Column("requested_by", Text, nullable=False),
    now_column("requested_at"),
    time_column("since", null=True),
    time_column("until", null=True),
    Column("repair", Boolean, nullable=False),
    time_column("day", null=True),
    Column("after_device", Uuid),
    Column("compared", BigInteger, nullable=False, server_default=text("0")),
    Column("differences", BigInteger, nullable=False, server_default=text("0")),
    time_column("finished_at", null=True),
)


def _blocks(name: str, subject: str) -> Table:
    """Time of devices, or of microgrids, in which something changed since it was rolled up."""
    return Table(
        name,
        metadata,
        Column(subject, Uuid, primary_key=True),
        Column("block_at", DateTime(timezone=True), primary_key=True),
        time_column("since"),
        time_column("until"),
        Index(f"{name}_newest", text("block_at DESC"), subject),
    )


rollup_blocks = _blocks("rollup_blocks", "device_id")
band_blocks = _blocks("band_blocks", "microgrid_id")

# A row of the site as it was until it was changed or deleted; triggers keep it. Append-only.
replaced_rows = Table(
    "replaced_rows",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("depot_id", Uuid, nullable=False),
    Column("source", Text, nullable=False),
    Column("row_key", Text, nullable=False),
    now_column("replaced_at"),
    Column("content", JSONB, nullable=False),
    Index("replaced_rows_depot_id", "depot_id", "replaced_at"),
)
# One row: from when on they are kept.
replaced_rows_kept = Table("replaced_rows_kept", metadata, Column("since", DateTime(timezone=True), nullable=False))

exports = Table(
    "exports",
    metadata,
    id_column(),
    Column("kind", Text, nullable=False),
    Column("file_format", Text, nullable=False),
    time_column("since"),
    time_column("until"),
    Column("depot_id", Uuid),
    Column("device_ids", ARRAY(Uuid), nullable=False),
    Column("measurands", ARRAY(Text), nullable=False),
    # The depots that whoever asked might see then; None: all.
    Column("within", ARRAY(Uuid)),
    Column("state", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    now_column("requested_at"),
    time_column("started_at", null=True),
    time_column("finished_at", null=True),
    Column("failure", Text),
    # Up to where the window is in the parts, and how much of it the next slice has.
    time_column("done_until", null=True),
    Column("slice_seconds", Double),
    Column("rows_done", BigInteger, nullable=False, server_default=text("0")),
    Column("size_bytes", BigInteger, nullable=False, server_default=text("0")),
    # None: there is no file.
    time_column("expires_at", null=True),
    word_check("exports_state", "state", JobState),
    Index("exports_open", "id", postgresql_where=text("finished_at IS NULL")),
    Index("exports_requested_by", "requested_by", "id"),
)

export_parts = Table(
    "export_parts",
    metadata,
    Column("export_id", Uuid, ForeignKey("exports.id", name="export_parts_export"), primary_key=True),
    # Its first byte's place in the file.
    Column("starts_at", BigInteger, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)
"""The files of exports, in pieces."""
