"""Two scenario runs beside each other: where their evidence differs."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.base.jobs.service import JobsDep
from api.base.types import RunId
from api.simulation import scenario_runs as service
from api.ui.base.rendering import render

router = APIRouter(prefix="/scenario-runs", include_in_schema=False)

_LISTED = 200
_LONGEST = 400
"""Characters of a value; what is longer is a whole step or more."""


@router.get("/{run_id}/compare/{other_id}", name="page_scenario_compare")
async def compare(request: Request, run_id: RunId, other_id: RunId, jobs: JobsDep) -> Response:
    """Show where two runs differ."""
    found = await service.differences(run_id, other_id, jobs)
    rows = [
        {
            "where": each.record if each.step is None else f"step {each.step}",
            "field": each.field or "/",
            "sides": [(side, _text(getattr(each, side))) for side in ("first", "second")],
            "missing": each.missing,
        }
        for each in found.items[:_LISTED]
    ]
    count = "more than 1\u202f000" if found.truncated else None
    return render(request, "scenario_compare.html", {"found": found, "rows": rows, "beyond": count})


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
