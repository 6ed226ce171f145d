"""`python -m cli.migrate`: brings the database to the newest schema, as the deployment does before anything else."""

from __future__ import annotations

import structlog

from runtime.begin import begin
from store.migrate import upgrade

_log = structlog.get_logger("migrate")


def main() -> None:
    """Migrate as ``MIGRATION_DATABASE_URL``, or as ``DATABASE_URL`` where that may change the schema."""
    settings = begin(migrates=True)
    upgrade((settings.migration_database_url or settings.database_url).get_secret_value())
    _log.info("migrated")


if __name__ == "__main__":
    main()
