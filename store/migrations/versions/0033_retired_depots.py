"""Depots are retired and brought back: the list of depots and its counts have those that are in service alone."""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_VIEW = """
    SELECT id AS depot_id, name AS depot, timezone, provisioning, provisioning_code, created_at, region, tags
"""
_EDITED = ("name", "timezone", "allows_simulation", "region", "tags")


def upgrade() -> None:
    op.execute("ALTER TABLE depots ADD COLUMN retired_at timestamptz")
    op.execute("CREATE INDEX depots_retired ON depots (name, id) WHERE retired_at IS NOT NULL")
    _count_versions_of((*_EDITED, "retired_at"))
    op.execute("""
        CREATE FUNCTION depots_retired() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.retired_at IS NOT NULL THEN
                DELETE FROM depot_list WHERE depot_id = NEW.id;
            ELSE
                INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags)
                VALUES (NEW.id, NEW.name, NEW.provisioning, name_grams(NEW.name), lower(NEW.region),
                        lower_all(NEW.tags));
                PERFORM settle_freshness(ARRAY[NEW.id]);
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER depots_retired AFTER UPDATE OF retired_at ON depots FOR EACH ROW
        WHEN ((OLD.retired_at IS NULL) <> (NEW.retired_at IS NULL)) EXECUTE FUNCTION depots_retired()
    """)
    op.execute(f"CREATE OR REPLACE VIEW reporting.depots AS {_VIEW}, retired_at FROM depots")
    op.execute("COMMENT ON COLUMN reporting.depots.retired_at IS 'When it was retired; null\\: it is in service'")


def downgrade() -> None:
    # The version before knows no retired depots: they are in service again, and their microgrids come with a sync.
    op.execute("UPDATE depots SET retired_at = NULL WHERE retired_at IS NOT NULL")
    op.execute("DROP VIEW reporting.depots")
    op.execute(f"CREATE VIEW reporting.depots AS {_VIEW} FROM depots")
    op.execute("DROP TRIGGER depots_retired ON depots")
    op.execute("DROP FUNCTION depots_retired")
    _count_versions_of(_EDITED)
    op.execute("ALTER TABLE depots DROP COLUMN retired_at")


def _count_versions_of(columns: tuple[str, ...]) -> None:
    """Have the version of a depot count changes of these columns."""
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
    op.execute("DROP TRIGGER depots_version ON depots")
    op.execute(f"""
        CREATE TRIGGER depots_version BEFORE UPDATE ON depots FOR EACH ROW
        WHEN (NEW.version = OLD.version AND ({old}) IS DISTINCT FROM ({new}))
        EXECUTE FUNCTION count_version()
    """)
