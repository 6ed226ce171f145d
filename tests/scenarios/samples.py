"""Small scenarios for tests."""

from __future__ import annotations

from typing import Any

import yaml

from domain.base.violations import Violation
from sim_scenarios.language.problems import InvalidScenario
from sim_scenarios.runs.library import controller_tables
from sim_scenarios.runs.scenario import Scenario, parse_scenario
from tests.scenarios.stand_in import run_scenario


def small(**changed: Any) -> dict[str, Any]:
    """A scenario's document, with these fields instead."""
    made: dict[str, Any] = {
        "scenario": "small",
        "title": "A small scenario",
        "controller": "bba-1",
        "duration": "10m",
        "every": "60s",
        "site": {
            "grid": {"import_limit_kw": 900, "export_limit_kw": 100},
            "charging": {"limit_kw": 600, "fail_safe_kw": 120},
            "load": {"kw": {"0s": 250}},
            "der": {"kw": {"0s": 50}, "limited_export_kw": 10},
            "battery": {"capacity_kwh": 500, "soc_percent": 60, "charge_kw": 200, "discharge_kw": 200},
            "peak_shaving": {"threshold_kw": 700},
        },
    }
    return made | changed


def read(document: dict[str, Any], **tables: object) -> Scenario | InvalidScenario:
    return parse_scenario(yaml.safe_dump(document, sort_keys=False), {**controller_tables(), **tables})


def good(document: dict[str, Any], **tables: object) -> Scenario:
    parsed = read(document, **tables)
    assert isinstance(parsed, Scenario), parsed
    return parsed


def wrong(document: dict[str, Any], **tables: object) -> list[tuple[str, str]]:
    """What is wrong with a document: places and codes."""
    parsed = read(document, **tables)
    assert isinstance(parsed, InvalidScenario)
    return places(parsed.violations)


def places(violations: tuple[Violation, ...]) -> list[tuple[str, str]]:
    assert all(each.reason.endswith(".") for each in violations)
    return [(each.pointer, str(each.code)) for each in violations]


def failing() -> bytes:
    """A run in which one expectation fails."""
    timeline = [
        {"at": "2m", "name": "<Never> & never", "expect": {"sent": {"SOC": 59}, "capabilities": {"DER": "OFF"}}}
    ]
    return run_scenario(good(small(timeline=timeline)))[0]
