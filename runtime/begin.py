"""How each process of the product begins: with its settings, and with its log where they say."""

from __future__ import annotations

import os
import sys

import structlog
from pydantic import ValidationError
from pydantic_settings import SettingsError

from runtime.logs import configure_logs
from runtime.settings import Settings, load_settings

_log = structlog.get_logger("process")


def begin() -> Settings:
    """Read the settings and set the log up. A process whose settings are wrong says which, and ends."""
    # Before the settings are read, so that their errors are logged in the right format.
    configure_logs("json" if os.environ.get("MANAGE_LOG_FORMAT") == "json" else "console")
    try:
        return load_settings()
    except ValidationError as error:
        wrong = {".".join(map(str, each["loc"])): each["msg"] for each in error.errors(include_input=False)}
        _log.critical("the settings are wrong", wrong=wrong)
    except SettingsError as error:
        _log.critical("the settings are wrong", wrong=str(error))
    sys.exit(2)
