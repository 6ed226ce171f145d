"""`./dev import`: takes a legacy fleet in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.markup import escape

from cli.client import Api, find_api
from cli.console import make_console
from cli.errors import CommandFailedError
from cli.files import check_readable
from cli.jobs import watch_job
from cli.meter import Meter
from cli.place import home, shown
from domain.base.jobs import JobState
from domain.site.imports.import_jobs import MAX_FILE_BYTES
from runtime.modes import make_private, private_file


def run_import(file: Path, *, watch: bool | None = None) -> int:
    """Import a fleet through the API and print what was stored and what was refused; 0 when it completed.

    Args:
        file: The fleet.
        watch: None: wait for the answer. Else have a job import it, and watch that, or only start it.

    Raises:
        CommandFailedError: it cannot be read, or is too large for a job.

    """
    check_readable(file)
    if watch is not None and (size := _size(file)) > MAX_FILE_BYTES:
        raise CommandFailedError(
            f"{shown(file)} has {size / 1e6:,.1f} MB, and a job takes at most {MAX_FILE_BYTES / 1e6:,.1f} MB. "
            "./dev import FILE without --watch or --no-watch takes larger ones."
        )
    console = make_console()
    return asyncio.run(_import(console, file) if watch is None else _import_by_job(console, file, watch))


async def _import(console: Console, file: Path) -> int:
    place = home()
    async with find_api() as api:
        await take_in(api, file, place.report, console)
    console.print("Next: ./dev backfill")
    return 0


async def take_in(api: Api, file: Path, report: Path, console: Console) -> None:
    """Import a fleet with progress, write the refused lines into ``report`` and print a summary."""
    size = await asyncio.to_thread(_size, file)
    with Meter(console, f"Import {file.name}") as meter:
        sent = _shown_by(meter, size, "landing …")
        # The report of the import before stays until this one is whole.
        unfinished = report.with_name(f"{report.name}.new")
        with await asyncio.to_thread(_open, unfinished) as refusals:
            answer: dict[str, Any] = await api.import_fleet(file, sent, refusals)
        unfinished.replace(report)
        meter.show(1, 1, f"{answer['lines']:,} lines")
    _print_import(console, answer, report)


async def _import_by_job(console: Console, file: Path, watch: bool) -> int:
    report = home().report
    async with find_api() as api:
        with Meter(console, f"Upload {file.name}") as meter:
            started = await api.upload_fleet(file, _shown_by(meter, await asyncio.to_thread(_size, file), "starting …"))
        path = f"/api/imports/{started['import_id']}"
        where = f"{api.url}/imports/{started['import_id']}"
        if not watch:
            console.print(f"Import started. See how far it is: {where}", soft_wrap=True)
            return 0
        try:
            ended = await watch_job(api, path, started, console, f"Import {file.name}", _progress)
        except asyncio.CancelledError:
            console.print(f"Stopped watching; the import continues: {where}", soft_wrap=True)
            raise
        with await asyncio.to_thread(_open, report) as refusals:
            await api.save(f"{path}/report", refusals)
    state = JobState(ended["state"])
    style = "green" if state is JobState.COMPLETED else "red"
    failure = f": {escape(ended['failure'])}" if ended["failure"] else ""
    console.print(f"[{style}]Import {state.lower()}[/]{failure}", soft_wrap=True)
    _print_import(console, ended, report)
    return 0 if state is JobState.COMPLETED else 1


def _progress(job: dict[str, Any]) -> tuple[int, int | None, str]:
    paused = ", paused" if job["state"] == JobState.PAUSED else ""
    if job["lines_to_store"] is None:
        return job["bytes_read"], job["size_bytes"], f"{job['lines']:,} lines read{paused}"
    depots = f"{job['landed']['depots']:,} depots stored"
    return job["lines_done"], job["lines_to_store"], f"{depots}, {job['refused']:,} lines refused{paused}"


def _shown_by(meter: Meter, size: int, then: str) -> Callable[[int], None]:
    """Make what shows how many bytes were sent, and ``then`` once all were."""

    def sent(count: int) -> None:
        if size and count >= size:
            meter.show(0, None, then)
        else:
            meter.show(count, size or None, f"{count / 1e6:,.1f} of {size / 1e6:,.1f} MB")

    return sent


def _size(file: Path) -> int:
    return file.stat().st_size


def _open(report: Path) -> IO[bytes]:
    if not report.parent.exists():
        make_private(report.parent)
    return open(report, "wb", opener=private_file)


def _print_import(console: Console, answer: dict[str, Any], report: Path) -> None:
    stored = "  ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in answer["landed"].items())
    console.print(f"  [green]stored[/]     {stored}", soft_wrap=True)
    if answer["unchanged"]:
        console.print(f"  unchanged  {answer['unchanged']:,}")
    if answer["refused"]:
        console.print(f"  [yellow]refused[/]    {answer['refused']:,}, each in {shown(report)}", soft_wrap=True)
        for code, count in answer["refused_by_code"].items():
            console.print(f"  {count:>9,}  {code}")
