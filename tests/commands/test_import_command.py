"""`./dev import FILE --watch`: a job imports the file, which is watched to its end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from fleet.make_fleet import lines
from runtime.settings import Settings
from tests.factories.fleet_lines import state
from tests.helpers.commands import run
from tests.helpers.live import http_client, make_worker, serving


async def test_a_job_imports_the_file_and_its_report_is_kept(
    engine: AsyncEngine, database_url: str, client: Client, task_queue: str, tmp_path: Path
) -> None:
    file = tmp_path / "fleet.ndjson"
    file.write_text("".join(lines(40, seed=5, flaws=True)))
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    data = {"MANAGE_DATA_DIR": str(tmp_path / "data")}
    async with serving(settings) as address:
        begun = await asyncio.to_thread(run, "import", str(file), "--no-watch", "--api", address, **data)
        assert (begun.returncode, begun.stderr) == (0, "")
        assert f"Import started. See how far it is: {address}/imports/" in begun.stdout
        async with make_worker(client, engine, task_queue):
            watched = await asyncio.to_thread(run, "import", str(file), "--watch", "--api", address, **data)
        async with http_client(address) as api:
            newest, oldest = (await api.get("/api/imports")).json()["items"]
    assert (watched.returncode, watched.stderr) == (0, "")
    assert "Import completed" in watched.stdout
    assert newest["file_name"] == oldest["file_name"] == "fleet.ndjson"
    assert newest["landed"]["depots"] + oldest["landed"]["depots"] == len((await state(engine))["depots"])
    report = (tmp_path / "data" / "import-report.ndjson").read_text().splitlines()
    assert len(report) == newest["refused"] > 0
    assert {json.loads(line)["code"] for line in report} == set(newest["refused_by_code"])
