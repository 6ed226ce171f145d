"""`python -m cli`: the product's commands. In a checkout, `./dev` adds those for working on it (`devtools/`)."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from cyclopts import App
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.markup import escape

from cli.app import app
from cli.console import OutputConsole, drop_output
from cli.errors import CommandFailedError
from cli.files import why

INTERRUPTED = 130
READER_GONE = 141
"""As a shell reports a program that SIGPIPE ended."""


def main(commands: App = app) -> None:
    """Run the command that the arguments name, and end with its exit code."""
    _write_anything()
    commands.console = OutputConsole()
    try:
        try:
            commands(sys.argv[1:])
        finally:
            # Now, while the error that nobody reads it can still be reported.
            sys.stdout.flush()
    except CommandFailedError as error:
        _fail(str(error))
    except (ValidationError, SettingsError) as error:
        _fail(f"A setting in the environment is wrong. {error}")
    except BrokenPipeError:
        drop_output()
        sys.exit(READER_GONE)
    except OSError as error:
        _fail(why(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _write_anything() -> None:
    r"""Let every text be written, in whatever encoding the terminal has: what it lacks is written as ``\u2713``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(text: str) -> None:
    Console(stderr=True, highlight=False).print(f"[bold red]Failed.[/] {escape(text)}", soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
