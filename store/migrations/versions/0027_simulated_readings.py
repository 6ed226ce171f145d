"""An index of the readings that scenario runs sent, so that every chart can say what of it is simulated."""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE INDEX device_readings_simulated ON device_readings (device_id, observed_at)
        WHERE scenario_run_id IS NOT NULL
    """)


def downgrade() -> None:
    op.execute("DROP INDEX device_readings_simulated")
