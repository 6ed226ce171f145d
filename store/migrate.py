"""Bringing a database to the newest schema."""

from __future__ import annotations

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from store.base.database import is_retryable_conflict, was_locked_out

TRIES = 20
PAUSE_SECONDS = 2.0
"""Between two tries, so that those who waited behind the migration are served."""


def alembic_config(database_url: str) -> Config:
    """The configuration that Alembic's own commands need for ``database_url``."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, *, tries: int = TRIES) -> None:
    """Apply every migration that is missing. Safe to run again, and from several processes at once.

    It waits a few seconds for a lock, then undoes everything, lets others through and tries again.

    Raises:
        DBAPIError: the database refused a migration, or ``tries`` times a lock could not be had. Nothing was changed.

    """
    for left in reversed(range(tries)):
        try:
            command.upgrade(alembic_config(database_url), "head")
        except DBAPIError as error:
            if left == 0 or not (was_locked_out(error) or is_retryable_conflict(error)):
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
