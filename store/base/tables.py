"""The tables of whatever every wing does: the journal, and the answers that can be asked for again."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Index, LargeBinary, Table, Text, Uuid, text
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
    now_column("at"),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("depot_id", Uuid),
    Column("subject_id", Uuid),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Index("changes_depot_id", "depot_id", "id"),
)
