"""The controllers' translation tables that are shipped, read once a process: what each revision can say."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType

import yaml

from domain.controllers.controller_support import ControllerTables
from domain.controllers.controller_tables import InvalidTable, parse_table
from domain.controllers.controller_translation import ControllerTable

FOLDER = Path(__file__).resolve().parent.parent / "sim_scenarios" / "controllers"
"""Where the tables are: with the simulation, which sends by them."""


class BrokenTableError(Exception):
    """A shipped table cannot be used, so the product must not start."""


@cache
def controller_tables() -> ControllerTables:
    """Return the shipped tables by the names of their files, in the order of the names.

    Raises:
        BrokenTableError: one of them is no table.

    """
    return MappingProxyType(load_tables(FOLDER))


def load_tables(folder: Path) -> dict[str, ControllerTable]:
    """Read the tables of a folder.

    Raises:
        BrokenTableError: one of them is no table.

    """
    found: dict[str, ControllerTable] = {}
    for path in sorted(folder.glob("*.yaml"), key=lambda each: each.stem):
        try:
            table = parse_table(yaml.safe_load(path.read_text(encoding="utf-8")))
        except yaml.YAMLError as error:
            raise BrokenTableError(f"{path.name} is no YAML: {error}") from error
        if isinstance(table, InvalidTable):
            raise BrokenTableError(f"{path.name}: {table.violations}")
        found[path.stem] = table
    return found
