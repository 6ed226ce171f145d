"""Files that a command is told to read or to write: what is wrong with one is said before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cli.errors import CommandFailedError


def why(error: OSError, path: Path | None = None) -> str:
    """Say in one line what the system refused, and of what."""
    named = path or error.filename
    reason = error.strerror or str(error) or type(error).__name__
    return f"{named}: {reason}" if named else reason


def read_text(path: Path) -> str:
    """Read a text file.

    Raises:
        CommandFailedError: it cannot be read, or is not UTF-8.

    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CommandFailedError(f"{path} is not UTF-8.") from None
    except OSError as error:
        raise CommandFailedError(why(error, path)) from error


def check_readable(path: Path) -> None:
    """Make sure that a file can be read.

    Raises:
        CommandFailedError: it cannot.

    """
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise CommandFailedError(why(error, path)) from error


def check_writable(paths: Sequence[Path]) -> None:
    """Make sure that each of these files can be written, by opening it; folders that lack are made.

    Raises:
        CommandFailedError: one cannot be, or is named twice.

    """
    seen: set[Path] = set()
    for path in paths:
        try:
            _open_for_writing(path)
            whole = path.resolve()
        except OSError as error:
            raise CommandFailedError(why(error, path)) from error
        if whole in seen and not _is_special(path):
            raise CommandFailedError(f"{path} would be written twice. Name a file of its own for each report.")
        seen.add(whole)


def _open_for_writing(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if _is_special(path):
        # To open a pipe is to wait for its reader.
        return
    there = path.exists()
    with path.open("ab"):
        pass
    if not there:
        path.unlink()


def _is_special(path: Path) -> bool:
    """Whether it is a device or a pipe, such as ``/dev/stdout``."""
    return path.exists() and not path.is_file() and not path.is_dir()
