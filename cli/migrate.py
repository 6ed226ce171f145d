"""`python -m cli.migrate`: brings the database to the newest schema, as the deployment does before anything else."""

from __future__ import annotations

import structlog

from runtime.logs import configure_logs
from runtime.settings import load_settings
from store.migrate import upgrade

_log = structlog.get_logger("migrate")


def main() -> None:
    """Migrate as ``MIGRATION_DATABASE_URL``, or as ``DATABASE_URL`` where that may change the schema."""
    settings = load_settings()
    configure_logs(settings.log_format)
    upgrade(settings.migration_database_url or settings.database_url)
    _log.info("migrated")


if __name__ == "__main__":
    main()
