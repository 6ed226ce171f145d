"""Runs a command that the operating system ends together with the process that started it.

    python parent_death.py PARENT_PID SIGNAL UID GID COMMAND [ARGUMENT…]

It runs as a script of its own, before any package can be imported, and is replaced by the command, which keeps
its process id. SIGNAL is what the command gets when its parent is gone, however the parent ended. UID and GID
are the user and group to run as; -1: the same as now. Only Linux can do this; elsewhere the command is just run.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Become the command."""
    parent, orphan_signal, uid, gid = (int(argument) for argument in arguments[:4])
    command = arguments[4:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After the change of user, which would forget it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, orphan_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent process has gone")
    try:
        os.execvp(command[0], command)  # noqa: S606 (the caller's own command, no shell)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
