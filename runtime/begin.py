"""How each process of the product begins: with its settings, and with its log where they say."""

from __future__ import annotations

import os
import sys

import structlog
from pydantic import ValidationError
from pydantic_settings import SettingsError

from runtime.logs import configure_logs
from runtime.secrets.files import open_secret_files
from runtime.settings import Settings, load_settings

_log = structlog.get_logger("process")


def begin(*, migrates: bool = False) -> Settings:
    """Read the settings and set the log up. A process whose settings are wrong says which, and ends.

    Each needs a database; one that ``migrates`` may have it as another role.
    """
    # Before the settings are read, so that their errors are logged in the right format.
    configure_logs("json" if os.environ.get("MANAGE_LOG_FORMAT") == "json" else "console")
    try:
        settings = load_settings()
    except (ValidationError, SettingsError) as error:
        _log.critical("the settings are wrong", wrong=what_is_wrong(error))
        sys.exit(2)
    if not (settings.database_url or (migrates and settings.migration_database_url)):
        _log.critical("the settings are wrong", wrong={"DATABASE_URL": "Neither it nor DATABASE_URL_FILE is set."})
        sys.exit(2)
    for name in open_secret_files(Settings):
        _log.warning("everybody on this machine may read a secret's file", setting=name)
    return settings


def what_is_wrong(error: ValidationError | SettingsError) -> dict[str, str] | str:
    """Say which settings are wrong, and why, without their values."""
    if isinstance(error, SettingsError):
        return str(error)
    return {".".join(map(str, each["loc"])): each["msg"] for each in error.errors(include_input=False)}
