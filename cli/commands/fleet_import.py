"""`./dev import`: takes a legacy fleet in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from cli.client import Api, find_api
from cli.console import make_console
from cli.files import check_readable
from cli.meter import Meter
from cli.place import home, shown
from runtime.modes import make_private, private_file


def run_import(file: Path) -> int:
    """Import a fleet through the API and print what was stored and what was refused."""
    check_readable(file)
    return asyncio.run(_import(make_console(), file))


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

        def sent(count: int) -> None:
            if size and count >= size:
                meter.show(0, None, "landing …")
            else:
                meter.show(count, size or None, f"{count / 1e6:,.1f} of {size / 1e6:,.1f} MB")

        # The report of the import before stays until this one is whole.
        unfinished = report.with_name(f"{report.name}.new")
        with await asyncio.to_thread(_open, unfinished) as refusals:
            answer: dict[str, Any] = await api.import_fleet(file, sent, refusals)
        unfinished.replace(report)
        meter.show(1, 1, f"{answer['lines']:,} lines")
    _print_import(console, answer, report)


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
