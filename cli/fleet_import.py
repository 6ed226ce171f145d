"""`./dev import`: takes a legacy fleet in."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.client import Api, find_api
from cli.console import make_console
from cli.meter import Meter
from cli.place import home, shown


def run_import(file: Path) -> int:
    """Import a fleet through the API and print what landed and what was refused."""
    console = make_console()
    return asyncio.run(_import(console, file))


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

        answer: dict[str, Any] = await api.import_fleet(file, sent)
        meter.show(1, 1, f"{answer['lines']:,} lines")
    await asyncio.to_thread(_write_report, report, answer["refusals"])
    _print_import(console, answer, report)


def _size(file: Path) -> int:
    return file.stat().st_size


def _write_report(report: Path, refusals: list[dict[str, Any]]) -> None:
    report.parent.mkdir(parents=True, exist_ok=True)
    with report.open("w") as lines:
        lines.writelines(json.dumps(refusal, ensure_ascii=False) + "\n" for refusal in refusals)


def _print_import(console: Console, answer: dict[str, Any], report: Path) -> None:
    landed = "  ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in answer["landed"].items())
    console.print(f"  [green]landed[/]     {landed}", soft_wrap=True)
    if answer["unchanged"]:
        console.print(f"  unchanged  {answer['unchanged']:,}")
    if answer["refused"]:
        console.print(f"  [yellow]refused[/]    {answer['refused']:,}, each in {shown(report)}", soft_wrap=True)
        for code, count in Counter(refusal["code"] for refusal in answer["refusals"]).most_common():
            console.print(f"  {count:>9,}  {code}")
