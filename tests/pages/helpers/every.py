"""Every page of the product, with something on it to look at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.main import create_app
from tests.factories.scenario_sites import make_depots, run_scenario
from tests.helpers.live import http_client
from tests.pages.conftest import RunningProduct

MOVED = frozenset({"page_depot", "page_of_microgrid"})
"""Addresses that only lead to another page."""
OF_A_PROVIDER = frozenset({"page_sessions"})
"""There only where people sign in (tests/pages/access/test_sign_in_pages.py)."""


def page_routes(product: RunningProduct) -> set[str]:
    """The names of all routes that answer a whole page."""
    return {name for name in _names(create_app(product.settings)) if name.startswith("page_")} - MOVED - OF_A_PROVIDER


def _names(app: FastAPI) -> Iterator[str]:
    return (route.name for route in app.routes if isinstance(route, APIRoute))


async def every_page(product: RunningProduct) -> dict[str, str]:
    """Make what there is to see; the address of every page by the name of its route."""
    (depot_id,) = await make_depots(product.url, 1)
    async with http_client(product.url) as api:
        first, _ = await run_scenario(api, depot_id, "quick-look", seed=1)
        second, _ = await run_scenario(api, depot_id, "quick-look", seed=2)
        devices = (await api.get("/api/devices", params={"depot_id": depot_id})).json()["items"]
        token = {"name": "CI", "grants": [{"role": "viewer"}]}
        ends = datetime.now(UTC) + timedelta(days=30)
        (await api.post("/api/tokens", json={**token, "expires_at": ends.isoformat()})).raise_for_status()
        view = {"name": "Northern", "filters": {"search": "north", "freshness": "STALE", "sort": "STATUS"}}
        (await api.post("/api/views", json=view)).raise_for_status()
        backfill = (await api.post("/api/backfills", json={"dry_run": True})).json()
        made = (await api.post("/api/imports", content=b"[]\n{}\n", params={"file_name": "fleet.ndjson"})).json()
    depot, run = f"/depots/{depot_id}", f"/scenario-runs/{first['run_id']}"
    return {
        "page_overview": "/",
        "page_depots": "/depots",
        "page_views": "/depots/views",
        "page_new_view": "/depots/views/new?search=north&alarm=ANY",
        "page_new_depot": "/depots/new",
        "page_load": f"{depot}/load",
        "page_as_of": f"{depot}/as-of?span=1h&place=499",
        "page_trends": f"/trends?series=device:{devices[0]['device_id']}:TOTAL_POWER_LOAD",
        "page_microgrid": f"{depot}/microgrid",
        "page_controllers": f"{depot}/controllers",
        "page_devices": f"{depot}/devices",
        "page_device": f"/devices/{devices[0]['device_id']}",
        "page_remediations": "/remediations",
        "page_problems": "/problems",
        "page_scenarios": "/scenarios",
        "page_scenario_run": run,
        "page_scenario_compare": f"{run}/compare/{second['run_id']}",
        "page_access": "/access",
        "page_tokens": "/tokens",
        "page_journal": "/journal",
        "page_exports": "/exports",
        "page_new_export": f"/exports/new/readings?depot_id={depot_id}",
        "page_imports": "/imports",
        "page_import": f"/imports/{made['import_id']}",
        "page_backfills": "/backfills",
        "page_backfill": f"/backfills/{backfill['backfill_id']}",
    }
