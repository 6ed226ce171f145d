"""`./dev export`: has a job make a file of readings or of a history, watches it, and downloads the file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from rich.console import Console
from rich.markup import escape

from cli.client import Api, UnreachableError, find_api
from cli.commands.resync import find_depot
from cli.console import make_console
from cli.errors import CommandFailedError
from cli.files import check_writable
from cli.jobs import watch_job
from cli.meter import Meter
from domain.base.jobs import JobState
from domain.history.exports import ExportFormat, ExportKind
from runtime.modes import private_file

_SPAN = timedelta(days=1)
"""The window where none is named, as on the pages."""
_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before a download goes on that broke off, while nothing more comes."""


@dataclass(frozen=True)
class Asked:
    """What to export."""

    kind: ExportKind
    since: str | None
    until: str | None
    depot: str | None
    file_format: ExportFormat


def run_export(asked: Asked | None, resume: UUID | None, file: Path | None, *, watch: bool | None) -> int:
    """Start an export, or go on with one, and download its file; 0 when it completed.

    Args:
        asked: What to export. None: ``resume`` names the export.
        resume: An export that was started before.
        file: Where the file goes. None: into this folder, under the name that the API gives it.
        watch: False: only start it.

    Raises:
        CommandFailedError: it cannot be started or downloaded.

    """
    if (asked is None) is (resume is None):
        raise CommandFailedError("Say what to export, or --resume ID for an export that was started before.")
    if file is not None:
        _check_free(file)
    return asyncio.run(_export(make_console(), asked, resume, file, watch is not False))


async def _export(console: Console, asked: Asked | None, resume: UUID | None, file: Path | None, watch: bool) -> int:
    async with find_api() as api:
        job = await (api.get(f"/api/exports/{resume}") if asked is None else _start(api, asked))
        path = f"/api/exports/{job['export_id']}"
        go_on = f"./dev export --resume {job['export_id']}"
        if not watch:
            console.print(f"Export started. Download it with: {go_on}", soft_wrap=True)
            return 0
        target = file or Path(_name(job))
        _check_free(target)
        try:
            ended = await watch_job(api, path, job, console, f"Export {job['kind']}", _progress)
            if ended["state"] == JobState.COMPLETED:
                await _download(api, ended, target, console)
        except (asyncio.CancelledError, UnreachableError):
            console.print(f"Stopped; the export continues. Go on with: {go_on}", soft_wrap=True)
            raise
    state = JobState(ended["state"])
    style = "green" if state is JobState.COMPLETED else "red"
    failure = f": {escape(ended['failure'])}" if ended["failure"] else ""
    console.print(f"[{style}]Export {state.lower()}[/]{failure}", soft_wrap=True)
    if state is not JobState.COMPLETED:
        return 1
    console.print(f"  {ended['rows_done']:,} rows in {escape(str(target))}", soft_wrap=True)
    return 0


async def _start(api: Api, asked: Asked) -> dict[str, Any]:
    until = _moment("--until", asked.until) or datetime.now(UTC)
    since = _moment("--since", asked.since) or until - _SPAN
    body = {"kind": asked.kind, "format": asked.file_format, "since": since.isoformat(), "until": until.isoformat()}
    if asked.depot is not None:
        body["depot_id"] = await find_depot(api, asked.depot)
    return await api.create("/api/exports", body)


def _moment(option: str, given: str | None) -> datetime | None:
    """Read a time; without an offset it is UTC."""
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise CommandFailedError(f"{option} {given}: not a time, such as 2026-11-27 or 2026-11-27T08:30Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _progress(job: dict[str, Any]) -> tuple[int, int | None, str]:
    since, until, done = (_seconds(job[name]) for name in ("since", "until", "done_until"))
    paused = ", paused" if job["state"] == JobState.PAUSED else ""
    rows = f"{job['rows_done']:,} rows read{paused}"
    return (0, None, rows) if since is None or until is None else ((done or since) - since, until - since, rows)


def _seconds(moment: str | None) -> int | None:
    return None if moment is None else round(datetime.fromisoformat(moment).timestamp())


def _name(job: dict[str, Any]) -> str:
    """Name the file as the API does."""
    since, until = (
        f"{datetime.fromisoformat(job[name]).astimezone(UTC):%Y%m%dT%H%M%SZ}" for name in ("since", "until")
    )
    return f"{job['kind']}-{since}-{until}.{job['format']}"


def _check_free(file: Path) -> None:
    if file.exists():
        raise CommandFailedError(f"{file} is there already. Name another file with --file, or remove it first.")
    check_writable((file,))


async def _download(api: Api, job: dict[str, Any], target: Path, console: Console) -> None:
    """Download a file, from where an earlier try broke off. What is not whole yet has the export's id in its name."""
    size: int = job["size_bytes"]
    if job["expires_at"] is None:
        raise CommandFailedError("The file of this export is no longer kept. Start another one.")
    part = target.with_name(f"{target.name}.{job['export_id']}.part")
    with Meter(console, f"Download {target.name}") as meter, await asyncio.to_thread(_open, part) as file:
        if file.tell() > size:
            file.seek(0)
            file.truncate()

        def shown() -> None:
            meter.show(file.tell(), size, f"{file.tell() / 1e6:,.1f} of {size / 1e6:,.1f} MB")

        shown()
        await _fetch(api, f"/api/exports/{job['export_id']}/file", file, size, shown)
    part.replace(target)


def _open(part: Path) -> IO[bytes]:
    return open(part, "ab", opener=private_file)


async def _fetch(api: Api, path: str, file: IO[bytes], size: int, shown: Callable[[], None]) -> None:
    pauses = list(_PAUSES)
    while file.tell() < size:
        begun = file.tell()
        try:
            await api.save(path, file, start=begun, got=shown)
        except UnreachableError:
            if file.tell() > begun:
                pauses = list(_PAUSES)
            if not pauses:
                raise
            await asyncio.sleep(pauses.pop(0))
