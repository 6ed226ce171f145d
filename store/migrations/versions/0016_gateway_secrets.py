"""Secrets of gateways: two at once, by which a gateway proves who it is over HTTP and MQTT."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE gateway_secrets (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    gateway_id uuid NOT NULL CONSTRAINT gateway_secrets_gateway REFERENCES gateways (id) ON DELETE CASCADE,
    slot text NOT NULL CONSTRAINT gateway_secrets_slot CHECK (slot IN ('a', 'b')),
    digest bytea NOT NULL CONSTRAINT gateway_secrets_digest UNIQUE,
    mqtt_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    used_at timestamptz,
    CONSTRAINT gateway_secrets_two UNIQUE (gateway_id, slot)
);

-- Whoever keeps secrets in mind forgets them then, and only then: not when rights change, or a use is noted.
CREATE FUNCTION gateway_secrets_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('manage_access', 'gateway_secrets');
    RETURN NULL;
END
$$;
CREATE TRIGGER gateway_secrets_changed AFTER INSERT OR DELETE OR UPDATE OF gateway_id, slot, digest, mqtt_hash
    ON gateway_secrets FOR EACH STATEMENT EXECUTE FUNCTION gateway_secrets_changed();
"""

_DOWN = """
DROP TABLE gateway_secrets;
DROP FUNCTION gateway_secrets_changed();
"""


def upgrade() -> None:
    for statement in statements(_UP):
        op.execute(statement)


def downgrade() -> None:
    for statement in statements(_DOWN):
        op.execute(statement)
