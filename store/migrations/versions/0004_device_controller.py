"""Which controller a device is, by the name of its translation table."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE devices ADD COLUMN controller text "
        "CONSTRAINT devices_controller CHECK (btrim(controller) <> '' AND char_length(controller) <= 100)"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE devices DROP COLUMN controller")
