"""Secret settings that stand in files instead of the environment.

``DATABASE_URL_FILE`` names the file of ``DATABASE_URL``. An environment is seen by whoever may inspect a container; a
file is mounted for one process. No message of this module holds what a variable or a file says: a path may be a secret
that somebody put into the wrong variable.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError

MAX_BYTES = 65_536
"""A secret is short: what is larger is another file."""
SUFFIX = "_FILE"
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MOUNTED = Path("/run/secrets")
"""Where engines mount secrets, readable for all in the container: there is one process in it."""


class SecretFileError(Exception):
    """A file holds no secret; the message says why, without the path and without what the file holds."""


def secret_variables(settings: type[BaseSettings]) -> dict[str, str]:
    """List the secret settings: the variable of each, by the field's name."""
    prefix = settings.model_config.get("env_prefix", "")
    return {
        name: str(field.validation_alias or f"{prefix}{name.upper()}")
        for name, field in settings.model_fields.items()
        if field.annotation is SecretStr
    }


def read_secret(path: str, *, lines: bool = False) -> str:
    """Read a secret from a file of UTF-8 text. A byte order mark and line ends after it are no part of it.

    Without ``lines`` it is one line.

    Raises:
        SecretFileError: there is none.

    """
    try:
        # What is no file may wait for ever for somebody who writes.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise SecretFileError("It names a folder or a device, not a file.")
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SecretFileError("There is no such file.") from None
    except PermissionError:
        raise SecretFileError("This process may not read the file.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the path is none"
        raise SecretFileError(f"The file cannot be read: {reason}.") from None
    if len(content) > MAX_BYTES:
        raise SecretFileError(f"The file is larger than {MAX_BYTES} bytes.")
    try:
        found = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretFileError("The file is no UTF-8 text.") from None
    if not found.strip():
        raise SecretFileError("The file is empty.")
    if not lines and "\n" in found:
        raise SecretFileError("The file has more than one line.")
    if _CONTROLS.search(found.replace("\r\n", "\n") if lines else found):
        raise SecretFileError("The file has control characters.")
    return found


def open_secret_files(settings: type[BaseSettings], environment: Mapping[str, str] = os.environ) -> list[str]:
    """List the variables whose files others on this machine may read."""
    found: list[str] = []
    for variable in secret_variables(settings).values():
        path = Path(environment.get(variable + SUFFIX) or "/run/secrets/none")
        if path.is_file() and not path.is_relative_to(_MOUNTED) and path.stat().st_mode & stat.S_IROTH:
            found.append(variable + SUFFIX)
    return found


class SecretFiles(PydanticBaseSettingsSource):
    """Gives the secret settings whose variable ends with ``_FILE``."""

    def __init__(self, settings_cls: type[BaseSettings], *, of_lines: frozenset[str] = frozenset()) -> None:
        """Take the settings; those named in ``of_lines`` may be of several lines."""
        super().__init__(settings_cls)
        self._of_lines = of_lines

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked: all are given at once."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        """Read the files.

        Raises:
            SettingsError: one of them has no secret, or a secret is in its variable as well; it names them all.

        """
        found: dict[str, Any] = {}
        wrong: list[str] = []
        for name, variable in secret_variables(self.settings_cls).items():
            path = os.environ.get(variable + SUFFIX)
            if not path:
                continue
            if os.environ.get(variable):
                wrong.append(f"{variable} and {variable}{SUFFIX} are both set; set one of them.")
                continue
            try:
                # By its name, which every field is known by (`populate_by_name`); the variable wins where both are.
                found[str(self.settings_cls.model_fields[name].validation_alias or name)] = read_secret(
                    path, lines=name in self._of_lines
                )
            except SecretFileError as error:
                wrong.append(f"{variable}{SUFFIX}: {error}")
        if wrong:
            raise SettingsError(" ".join(wrong))
        return found
