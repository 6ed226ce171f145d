"""The OpenAPI document and the API say the same: generated requests find no server error and no undocumented answer."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from runtime.settings import Settings
from tests.conftest import executable
from tests.factories.sites import CONTROLLER, add_power_source, controller_site
from tests.helpers.live import serving, working

ROOT = Path(__file__).parent.parent.parent
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method"
)


async def _token(address: str) -> str:
    """A token that may do everything."""
    grants = [{"role": "administrator"}, {"role": "gateway"}]
    ends = datetime.now(UTC) + timedelta(days=1)
    async with httpx.AsyncClient(base_url=address) as api:
        made = await api.post("/api/tokens", json={"name": "test", "grants": grants, "expires_at": ends.isoformat()})
    return made.raise_for_status().json()["secret"]


async def test_generated_requests_find_no_server_error_and_no_undocumented_answer(
    database_url: str, engine: AsyncEngine, client: Client, task_queue: str, tmp_path: Path
) -> None:
    assert client.namespace
    # Something to find, so that reads are not only of what is not there.
    site = await controller_site(engine)
    await add_power_source(engine, site, circuit_id=site.circuit_ids[0])
    (tmp_path / "schemathesis.toml").write_text(
        f"""[parameters]
"path.depot_id" = "{site.depot_id}"
"path.microgrid_id" = "{site.microgrid_id}"
"path.device_id" = "{site.devices[CONTROLLER]}"
"path.binding_id" = "{site.actions[CONTROLLER, "UPDATE_MICROGRID_STATE"]}"
"query.gateway_id" = "{site.gateway_id}"
"query.wait_seconds" = 0
"""
    )
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with serving(settings) as address, working(client, engine, task_queue):
        token = await _token(address)
        command = [
            executable("schemathesis"), "--config-file", "schemathesis.toml", "run", f"{address}/openapi.json",
            "--checks", CHECKS,
            "--phases", "examples,coverage,fuzzing",
            "--max-examples", "25",
            "--seed", "20260101",
            "--workers", "2",
            # Made-up tokens would be refused before anything else is looked at.
            "--header", f"Authorization: Bearer {token}",
            "--continue-on-failure",
            "--suppress-health-check", "all",
            # A stream of events does not end.
            "--exclude-path", "/api/microgrids/{microgrid_id}/events",
            "--request-timeout", "20",
            "--no-color",
        ]  # fmt: skip
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=tmp_path,
            env=os.environ
            | {"NO_PROXY": "127.0.0.1", "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.contract_hooks"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-12_000:]
    # A run that called nothing would have found nothing, too.
    selected = re.search(r"Tested: (\d+)", done.stdout)
    assert selected is not None, done.stdout[-4_000:]
    assert int(selected[1]) >= 27
