"""A version on everything that people edit, which the rows count by themselves."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# What a person gives of each. A circuit's place is not among it: it also moves with its siblings.
_EDITED = {
    "circuits": ("name", "parent_id", "rated_power_w"),
    "gateways": ("name", "site_model_name", "output_translation"),
    "devices": ("gateway_id", "sensor_id", "name", "circuit_id", "controller"),
    "power_sources": ("kind", "name", "circuit_id"),
    "sensor_actions": ("device_id", "measurands", "heartbeat_threshold_seconds", "fail_safe_capacity_w", "enabled"),
}
_NEW = ("circuits", "gateways", "devices", "power_sources")


def upgrade() -> None:
    for table in _NEW:
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN version bigint NOT NULL DEFAULT 1 "
            f"CONSTRAINT {table}_version CHECK (version >= 1)"
        )
    op.execute("""
        CREATE FUNCTION count_version() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.version := OLD.version + 1;
            RETURN NEW;
        END
        $$
    """)
    for table, columns in _EDITED.items():
        old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
        # Whoever sets the version by himself, as the release before does, is left alone.
        op.execute(f"""
            CREATE TRIGGER {table}_version BEFORE UPDATE ON {table} FOR EACH ROW
            WHEN (NEW.version = OLD.version AND ({old}) IS DISTINCT FROM ({new}))
            EXECUTE FUNCTION count_version()
        """)


def downgrade() -> None:
    for table in _EDITED:
        op.execute(f"DROP TRIGGER {table}_version ON {table}")
    op.execute("DROP FUNCTION count_version()")
    for table in _NEW:
        op.execute(f"ALTER TABLE {table} DROP COLUMN version")
