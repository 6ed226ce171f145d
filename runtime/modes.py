"""Who may read the folders and files that this product makes on a machine: its own user, and nobody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_TOO_OPEN = _OF_OTHERS & ~stat.S_IXGRP
_ENTER_ALL = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_READ_ALL = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH


def make_private(folder: Path) -> None:
    """Make a folder that only this user may enter, or close one that is there already to everybody else.

    One that a group may get through, and no more, stays so: ``grant_traversal`` made it that for a server that may run.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & _TOO_OPEN:
        folder.chmod(mode & ~_OF_OTHERS)


def private_file(path: str | os.PathLike[str], flags: int) -> int:
    """Open a file that only this user may read: the ``opener`` of ``open``. One that is there keeps its mode."""
    return os.open(path, flags, 0o600)


def grant_traversal(path: Path, group: int) -> None:
    """As root: let the members of ``group`` get to ``path``, through folders whose lists stay closed to them.

    A folder that its group has no right to becomes one of this group, so that nobody else gets through; only where
    another group has rights does everybody.
    """
    for folder in path.parents:
        found = folder.stat()
        if found.st_mode & stat.S_IXOTH or (found.st_gid == group and found.st_mode & stat.S_IXGRP):
            continue
        mode = stat.S_IMODE(found.st_mode)
        if found.st_gid == group or not mode & stat.S_IRWXG:
            os.chown(folder, -1, group)
            folder.chmod(mode | stat.S_IXGRP)
        else:
            folder.chmod(mode | stat.S_IXOTH)


def open_to_all(folder: Path) -> None:
    """Let everybody read what is in a folder, and run its programs. For what is no secret."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        enters = path.is_dir() or mode & stat.S_IXUSR
        wanted = mode | _READ_ALL | (_ENTER_ALL if enters else 0)
        if wanted != mode:
            path.chmod(wanted)
