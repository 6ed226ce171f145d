"""Where `./dev up` keeps its state, and how other commands find a running one."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from cli.errors import CommandFailedError
from runtime.modes import make_private, private_file

ROOT = Path(__file__).resolve().parent.parent
"""The project's own folder."""
_HOME = ROOT / ".data"
DEMO_FLEET = ROOT / "fleet" / "demo.ndjson"


@dataclass(frozen=True)
class Running:
    """A running `./dev up`, as it describes itself in its folder."""

    pid: int
    api_url: str
    temporal_address: str
    temporal_ui_url: str
    database_url: str
    """Empty where the database is not an embedded one: its address may hold a password."""
    instance_id: str = ""
    """What the API answers at `/healthz`: another one that answers at the same address does not."""
    processes: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """The process id and the creation time of everything that it started, by name."""


class AlreadyRunningError(CommandFailedError):
    """Another `./dev up` works in this folder."""


class Place:
    """The folder that an `up` keeps its state in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self._lock: IO[str] | None = None

    @property
    def report(self) -> Path:
        """The refused lines of the last import."""
        return self.folder / "import-report.ndjson"

    @property
    def shown(self) -> str:
        """The folder as a person would write it."""
        return shown(self.folder)

    def take(self) -> None:
        """Make the folder this process's own for as long as it lives, and what is in it this user's alone.

        Where another process has it, everything stays as it is.

        Raises:
            AlreadyRunningError: another process has it; says which and where.

        """
        self.make()
        lock = open(self.folder / "up.lock", "a", opener=private_file)  # noqa: SIM115 (kept open; with a mode)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            running = self._read()
            where = "It is still starting." if running is None else f"API: {running.api_url}  Process: {running.pid}"
            raise AlreadyRunningError(
                f"`./dev up` runs already on {self.shown}. {where}\n"
                "Stop it with Ctrl-C where it was started, or start a separate one with --ephemeral."
            ) from error
        self._lock = lock
        if self.folder == _HOME:
            # One of an earlier version is open to others. One that somebody named stays as they made it.
            make_private(self.folder)
        make_private(self.logs)

    def make(self) -> None:
        """Make the folder, which nobody else may enter. One that is there stays as it is: somebody may work in it."""
        if not self.folder.exists():
            make_private(self.folder)

    def leave(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            (self.folder / "up.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def describe(self, running: Running) -> None:
        """Tell other commands where everything is."""
        written = self.folder / "up.json.new"
        with open(written, "w", encoding="utf-8", opener=private_file) as file:
            file.write(json.dumps(asdict(running), indent=2) + "\n")
        written.replace(self.folder / "up.json")

    def running(self) -> Running | None:
        """The `up` that works in this folder now; None where there is none, or none that says so yet."""
        try:
            with (self.folder / "up.lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return self._read()
        return None

    def left_behind(self) -> Running | None:
        """What an `up` that was killed said of itself. To be asked by who has taken the folder."""
        return self._read()

    def _read(self) -> Running | None:
        try:
            read: dict[str, Any] = json.loads((self.folder / "up.json").read_text())
            return Running(**read)
        except (OSError, ValueError, TypeError):
            return None


_EPHEMERAL = "ephemeral"
"""The folder of a home that names the places elsewhere which belong to it, a file each."""


def announce(place: Place) -> Path:
    """Let the commands of this project find a place that is not its home; answer what to take away at its end."""
    at_home = home()
    at_home.make()
    folder = at_home.folder / _EPHEMERAL
    make_private(folder)
    note = folder / place.folder.name
    note.write_text(f"{place.folder}\n", encoding="utf-8")
    return note


def withdraw(note: Path) -> None:
    """Take away what `announce` made, and the folders that it made for it."""
    note.unlink(missing_ok=True)
    for folder in (note.parent, note.parent.parent):
        with suppress(OSError):
            # Where something else is in it, it stays.
            folder.rmdir()


def running_places() -> list[tuple[Place, Running]]:
    """Every `./dev up` of this project that runs now, in its home or elsewhere."""
    at_home = home()
    places = [at_home]
    for note in sorted((at_home.folder / _EPHEMERAL).glob("*")):
        place = Place(Path(note.read_text(encoding="utf-8").strip()))
        if place.folder.exists():
            places.append(place)
        else:
            # One that was killed could not take it away.
            withdraw(note)
    return [(place, found) for place in places if (found := place.running()) is not None]


def home() -> Place:
    """The project's place: ``.data/``, or what ``MANAGE_DATA_DIR`` names."""
    named = os.environ.get("MANAGE_DATA_DIR")
    return Place(Path(named).absolute() if named else _HOME)


def shown(path: Path) -> str:
    """A path as seen from the current folder, where it lies below it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
