"""The tables of whatever every wing does: the journal, and the answers that can be asked for again."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.base.metadata import metadata, now_column

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("answer", Text, nullable=False),
    now_column("created_at"),
    Index("idempotency_keys_created_at", "created_at"),
)

changes = Table(
    "changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True, server_default=func.now()),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("depot_id", Uuid),
    Column("subject_id", Uuid),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("request_id", Text, server_default=text("nullif(current_setting('manage.request_id', true), '')")),
    Column("client", Text, server_default=text("nullif(current_setting('manage.client', true), '')")),
    Index("changes_depot_id", "depot_id", "id"),
    Index("changes_actor", "actor", "id"),
    Index("changes_action", "action", "id"),
    Index("changes_at", "at"),
    postgresql_partition_by="RANGE (at)",
)

retention_floors = Table(
    "retention_floors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("months", Integer, nullable=False),
    CheckConstraint("name IN ('history', 'journal')", name="retention_floors_name"),
    CheckConstraint("months BETWEEN 2 AND 1200", name="retention_floors_months"),
)
"""How many months are kept at least. The application's role only reads it; who owns the schema raises it."""
