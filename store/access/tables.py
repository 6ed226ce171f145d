"""The tables of who may do what, and of who proved who they are."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from domain.access.grants import GranteeKind
from domain.access.people import MAX_STORED_NAME_LENGTH, MAX_SUB_LENGTH
from domain.access.roles import Role
from domain.base.names import MAX_NAME_LENGTH
from store.base.metadata import id_column, metadata, now_column, text_check, time_column, word_check

people = Table(
    "people",
    metadata,
    id_column(),
    Column("issuer", Text, nullable=False),
    Column("sub", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("email_verified", Boolean, nullable=False),
    Column("groups", ARRAY(Text), nullable=False),
    now_column("first_signed_in_at"),
    now_column("signed_in_at"),
    UniqueConstraint("issuer", "sub", name="people_subject"),
    Index("people_called", text("((issuer || '#'::text) || sub)")),
    Index("people_by_email", text("lower(email)"), postgresql_where=text("email_verified")),
    Index("people_by_sub", "sub"),
    text_check("people_sub", "sub", MAX_SUB_LENGTH),
    text_check("people_name", "name", MAX_STORED_NAME_LENGTH),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("state_digest", LargeBinary, primary_key=True),
    Column("browser_digest", LargeBinary, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("verifier", Text, nullable=False),
    Column("return_to", Text, nullable=False),
    now_column("begun_at"),
    Index("sign_ins_begun_at", "begun_at"),
)

sessions = Table(
    "sessions",
    metadata,
    id_column(),
    Column("digest", LargeBinary, nullable=False),
    Column("person_id", Uuid, ForeignKey("people.id", name="sessions_person", ondelete="CASCADE"), nullable=False),
    Column("csrf_token", Text, nullable=False),
    Column("provider_sid", Text),
    Column("id_token", Text, nullable=False),
    now_column("opened_at"),
    now_column("used_at"),
    time_column("expires_at"),
    Column("client", Text, server_default=text("nullif(current_setting('manage.client', true), '')")),
    UniqueConstraint("digest", name="sessions_digest"),
    Index("sessions_person_id", "person_id"),
)

gateway_secrets = Table(
    "gateway_secrets",
    metadata,
    id_column(),
    Column(
        "gateway_id",
        Uuid,
        ForeignKey("gateways.id", name="gateway_secrets_gateway", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("slot", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("mqtt_hash", Text, nullable=False),
    now_column("created_at"),
    Column("created_by", Text, nullable=False),
    time_column("used_at", null=True),
    UniqueConstraint("digest", name="gateway_secrets_digest"),
    UniqueConstraint("gateway_id", "slot", name="gateway_secrets_two"),
    word_check("gateway_secrets_slot", "slot", ("a", "b")),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    id_column(),
    Column("name", Text, nullable=False),
    # None: the local administrator's.
    Column("owner_id", Uuid, ForeignKey("people.id", name="api_tokens_owner", ondelete="CASCADE")),
    Column("owner", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    now_column("created_at"),
    time_column("expires_at"),
    time_column("used_at", null=True),
    UniqueConstraint("digest", name="api_tokens_digest"),
    text_check("api_tokens_name", "name", MAX_NAME_LENGTH),
    Index("api_tokens_owner_id", "owner_id", "id"),
)

worker_tokens = Table(
    "worker_tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    now_column("created_at"),
    time_column("expires_at"),
)

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
    word_check("grants_kind", "kind", GranteeKind),
    text_check("grants_subject", "subject", MAX_SUBJECT_LENGTH),
    text_check("grants_name", "name", MAX_NAME_LENGTH),
    word_check("grants_role", "role", Role),
    UniqueConstraint("kind", "subject", "role", "depot_id", name="grants_once", postgresql_nulls_not_distinct=True),
    Index("grants_depot_id", "depot_id"),
)
