"""Depots are edited: they have a version, and a setting that says whether scenarios may run on them."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# What a person gives of a depot. Its provisioning follows from its circuits.
_EDITED = ("name", "timezone", "allows_simulation")


def upgrade() -> None:
    op.execute("""
        ALTER TABLE depots
            ADD COLUMN version bigint NOT NULL DEFAULT 1 CONSTRAINT depots_version CHECK (version >= 1),
            ADD COLUMN allows_simulation boolean NOT NULL DEFAULT false
    """)
    # Whoever ran scenarios on a depot meant it for that. No other depot is opened to them by an update.
    op.execute("UPDATE depots SET allows_simulation = true WHERE id IN (SELECT depot_id FROM scenario_runs)")
    old, new = (", ".join(f"{row}.{column}" for column in _EDITED) for row in ("OLD", "NEW"))
    op.execute(f"""
        CREATE TRIGGER depots_version BEFORE UPDATE ON depots FOR EACH ROW
        WHEN (NEW.version = OLD.version AND ({old}) IS DISTINCT FROM ({new}))
        EXECUTE FUNCTION count_version()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER depots_version ON depots")
    op.execute("ALTER TABLE depots DROP COLUMN version, DROP COLUMN allows_simulation")
