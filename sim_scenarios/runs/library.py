"""The files of this folder: presets and controllers' tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from sim_scenarios.language.problems import InvalidScenario
from sim_scenarios.language.source import read_source
from sim_scenarios.runs.scenario import Scenario, parse_scenario

FOLDER = Path(__file__).parent.parent


@cache
def controller_tables() -> Mapping[str, object]:
    """Return the shipped controllers' tables by name, as documents; a file that is no YAML gives None."""
    paths = sorted((FOLDER / "controllers").glob("*.yaml"))
    return MappingProxyType({path.stem: table_document(path.read_text(encoding="utf-8")) for path in paths})


def table_document(text: str) -> object:
    """Read the document of a table file; one that is no YAML gives None, which is no table."""
    source = read_source(text)
    return None if isinstance(source, InvalidScenario) else source.data


@cache
def preset_names() -> tuple[str, ...]:
    """Return the names of the presets, in their order."""
    return tuple(sorted(path.stem for path in (FOLDER / "presets").glob("*.yaml")))


def preset_text(name: str) -> str:
    """Return a preset as it is written.

    Raises:
        KeyError: there is no such preset.

    """
    if name not in preset_names():
        raise KeyError(name)
    return (FOLDER / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


@cache
def preset(name: str) -> Scenario:
    """Return a preset. Tests hold every preset valid.

    Raises:
        KeyError: there is no such preset.

    """
    parsed = parse_scenario(preset_text(name), controller_tables())
    assert isinstance(parsed, Scenario), parsed
    return parsed


def template_text(name: str) -> str:
    """Return the file with which a new scenario begins."""
    return (FOLDER / "template.yaml").read_text(encoding="utf-8").replace("NAME", name)
