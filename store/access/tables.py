"""The tables of who may do what."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text, UniqueConstraint, Uuid

from store.base.metadata import id_column, metadata, now_column

MAX_SUBJECT_LENGTH = 1000
"""Characters of a grant's subject: the provider's name for a person, a group or a program."""

grants = Table(
    "grants",
    metadata,
    id_column(),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("depot_id", Uuid, ForeignKey("depots.id", name="grants_depot", ondelete="CASCADE")),
    now_column("created_at"),
    Column("created_by", Text, nullable=False),
    CheckConstraint("kind IN ('person', 'group', 'program')", name="grants_kind"),
    CheckConstraint(f"btrim(subject) <> '' AND char_length(subject) <= {MAX_SUBJECT_LENGTH}", name="grants_subject"),
    CheckConstraint("btrim(name) <> '' AND char_length(name) <= 200", name="grants_name"),
    CheckConstraint(
        "role IN ('viewer', 'operator', 'configurator', 'qa', 'administrator', 'auditor', 'gateway')",
        name="grants_role",
    ),
    UniqueConstraint("kind", "subject", "role", "depot_id", name="grants_once", postgresql_nulls_not_distinct=True),
    Index("grants_depot_id", "depot_id"),
)
