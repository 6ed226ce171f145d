"""One API process of several that share an address: it serves on sockets that whoever started it has bound.

    python -m runtime.servers.serve FD [FD…]

The kernel gives each connection to one of the processes that accept on a socket. What waits at it is lost with none of
them, since whoever bound it keeps it open (docs/decisions/0055-several-of-everything.md).
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from runtime.servers.bounded_http import BoundedHttp

GRACE = 3
"""Seconds that requests get to end when the process is to stop: event streams never end by themselves."""


def serve(descriptors: Sequence[int]) -> int:
    """Serve on these inherited sockets until SIGTERM; 0 when all ended in good order."""
    sockets = [socket.socket(fileno=each) for each in descriptors]
    config = uvicorn.Config(
        "api.main:create_app", factory=True, http=BoundedHttp, access_log=False, timeout_graceful_shutdown=GRACE
    )
    server = uvicorn.Server(config)
    server.run(sockets)
    return 0 if server.started else STARTUP_FAILURE


if __name__ == "__main__":
    sys.exit(serve([int(each) for each in sys.argv[1:]]))
