"""`./dev scenario`: scenarios of the depot simulation, as far as they need no running product."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.console import make_console
from cli.errors import CommandFailedError
from cli.files import read_text
from sim_scenarios.language.language import NAME_PATTERN
from sim_scenarios.language.problems import InvalidScenario
from sim_scenarios.language.quantities import duration_text
from sim_scenarios.runs.library import (
    controller_tables,
    preset,
    preset_names,
    preset_text,
    table_document,
    template_text,
)
from sim_scenarios.runs.offline_check import check_offline
from sim_scenarios.runs.scenario import Scenario, parse_scenario


def run_list() -> int:
    """Print the presets."""
    table = Table(box=box.SIMPLE)
    for column in ("scenario", "shows", "lasts", "steps", "controller", "needs"):
        table.add_column(column, justify="right" if column == "steps" else "left", no_wrap=column == "scenario")
    for name in preset_names():
        found = preset(name)
        model = found.model
        lasts = duration_text(model.duration)
        table.add_row(name, model.title, lasts, str(found.steps), model.controller, ", ".join(model.needs))
    make_console().print(table)
    return 0


def run_validate(files: Sequence[Path], controllers: Sequence[Path]) -> int:
    """Check scenario files, or all presets; 0 when nothing is wrong, else 1."""
    console = make_console()
    tables = {**controller_tables(), **{path.stem: table_document(read_text(path)) for path in controllers}}
    texts = [(str(path), read_text(path)) for path in files] or [(name, preset_text(name)) for name in preset_names()]
    return max(_validate(console, label, text, tables) for label, text in texts)


def run_new(name: str, like: str | None) -> int:
    """Write the file of a new scenario.

    Raises:
        CommandFailedError: the name cannot be one, the file is there already, or there is no such preset.

    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise CommandFailedError(f"{name} is no name for a scenario: use small letters, digits and hyphens.")
    if like is not None and like not in preset_names():
        raise CommandFailedError(f"There is no preset {like}. There are: {', '.join(preset_names())}.")
    text = (
        template_text(name) if like is None else preset_text(like).replace(f"scenario: {like}", f"scenario: {name}", 1)
    )
    path = Path(f"{name}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise CommandFailedError(f"{path} is there already, and stays as it is.") from None
    make_console().print(f"Wrote {path}. Next: ./dev scenario validate {path}", soft_wrap=True)
    return 0


def _validate(console: Console, label: str, text: str, tables: Mapping[str, object]) -> int:
    parsed = parse_scenario(text, tables)
    if isinstance(parsed, Scenario):
        wrong = InvalidScenario(check_offline(parsed), parsed.lines)
        if not wrong.violations:
            console.print(f"[green]✓[/] {escape(label)}  [dim]{parsed.steps} steps[/]", soft_wrap=True)
            return 0
    else:
        wrong = parsed
    console.print(f"[bold red]✗[/] {escape(label)}", soft_wrap=True)
    for each in wrong.violations:
        line = wrong.line(each.pointer)
        place = f"{label}:{line}" if line is not None else label
        said = f"  {place}: {each.code}: {each.reason}" + (f" (at {each.pointer})" if each.pointer else "")
        console.print(escape(said), soft_wrap=True)
    return 1
