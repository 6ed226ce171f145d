"""`./dev export`: a job makes the file, which is downloaded whole, however often the download breaks off."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from runtime.settings import Settings
from tests.factories.load_sites import make_load_site
from tests.helpers.commands import run
from tests.helpers.live import http_client, make_worker, serving


async def test_an_export_is_made_downloaded_and_gone_on_with(
    engine: AsyncEngine, database_url: str, client: Client, task_queue: str, tmp_path: Path
) -> None:
    made = await make_load_site(engine, feeds=1)
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    data = {"MANAGE_DATA_DIR": str(tmp_path / "data")}
    file, again = tmp_path / "readings.csv", tmp_path / "again.csv"

    async with serving(settings) as address:

        async def export(*arguments: str) -> tuple[int, str, str]:
            done = await asyncio.to_thread(run, "export", *arguments, "--api", address, **data)
            return done.returncode, done.stdout, done.stderr

        code, said, _ = await export("readings", "--depot", str(made.site.depot_id), "--no-watch")
        assert code == 0
        found = re.search(r"--resume ([0-9a-f-]{36})", said)
        assert found is not None, said
        async with make_worker(client, engine, task_queue):
            code, said, failed = await export("--resume", found[1], "--file", str(file))
            assert (code, failed) == (0, "")
            assert "Export completed" in said
            async with http_client(address) as api:
                job = (await api.get(f"/api/exports/{found[1]}")).json()
                whole = (await api.get(f"/api/exports/{found[1]}/file")).content
            assert file.read_bytes() == whole
            assert f"{job['rows_done']:,} rows in {file}" in said
            # One that broke off goes on behind what there is; one that is none of it is fetched anew.
            for begun in (whole[:1_000], whole, whole + b"more"):
                part = again.with_name(f"{again.name}.{found[1]}.part")
                part.write_bytes(begun)
                assert (await export("--resume", found[1], "--file", str(again)))[0] == 0
                assert again.read_bytes() == whole
                assert not part.exists()
                again.unlink()
        # Nothing is written over, and what cannot be meant is said before anything is started.
        for arguments, reason in (
            (("--resume", found[1], "--file", str(file)), "is there already"),
            (("readings", "--since", "yesterday"), "not a time"),
            (("readings", "--resume", found[1]), "Say what to export"),
            ((), "Say what to export"),
            (("readings", "--depot", "No such"), "No depot's name contains"),
            (("readings", "--since", "2026-11-02", "--until", "2026-11-01"), "INVALID_REQUEST"),
            (("--resume", str(made.site.depot_id)), "EXPORT_NOT_FOUND"),
        ):
            code, _, failed = await export(*arguments)
            assert (code, reason in failed) == (1, True), (arguments, failed)
        async with http_client(address) as api:
            assert len((await api.get("/api/exports")).json()["items"]) == 1
            assert (await api.delete(f"/api/exports/{found[1]}")).status_code == 204
        code, _, failed = await export("--resume", found[1], "--file", str(again))
        assert (code, "no longer kept" in failed) == (1, True)
        assert not again.exists()
