"""A run as one HTML file that needs nothing else."""

from __future__ import annotations

import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sim_scenarios.evidence.charts import HEIGHT, WIDTH, chart
from sim_scenarios.evidence.evidence import Evidence
from sim_scenarios.language.quantities import duration_text

_POWERS = {
    "grid_w": ("grid connection", "grid"),
    "load_w": ("site load", "load"),
    "charging_w": ("charging", "charging"),
    "available_w": ("available for charging", "available"),
    "der_w": ("DER", "der"),
    "battery_w": ("battery", "battery"),
}


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("sim_scenarios"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters["duration"] = duration_text
    made.filters["json"] = _json
    return made


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def html_report(evidence: Evidence) -> str:
    """Make the report from the evidence alone."""
    charts = [
        chart("Power", "W", evidence.steps, _POWERS),
        chart("State of charge", "%", evidence.steps, {"soc_percent": ("battery", "battery")}),
    ]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=evidence.run,
            steps=evidence.steps,
            result=evidence.result,
            sha256=evidence.sha256,
            charts=[each for each in charts if each is not None],
            failures=[(step, each) for step in evidence.steps for each in step["checks"] if not each["passed"]],
            width=WIDTH,
            height=HEIGHT,
        )
    )
