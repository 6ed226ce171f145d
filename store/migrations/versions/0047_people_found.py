"""People are found by their address and by their `sub` through an index, however many have signed in."""

from __future__ import annotations

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # An address that was not verified finds nobody.
    op.execute("CREATE INDEX people_by_email ON people (lower(email)) WHERE email_verified")
    op.execute("CREATE INDEX people_by_sub ON people (sub)")


def downgrade() -> None:
    op.execute("DROP INDEX people_by_sub")
    op.execute("DROP INDEX people_by_email")
