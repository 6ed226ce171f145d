"""`python -m cli`, which `./dev` becomes."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape

from cli.app import app
from cli.errors import CommandFailedError


def main() -> None:
    """Run the command that the arguments name, and end with its exit code."""
    try:
        app(sys.argv[1:])
    except CommandFailedError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]Failed.[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
