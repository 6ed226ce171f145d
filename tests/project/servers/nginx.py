"""A real nginx for tests: Debian's, with the very file of the deployment before APIs of this machine."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from devtools.system_packages import find
from runtime.servers.processes import free_port
from tests.helpers.deployed import ROOT
from tests.helpers.support import until

DEPLOYED = ROOT / "deploy/nginx/manage.conf"
_RESOLVER = (
    "    # Docker's own name server knows the containers that run now.\n    resolver 127.0.0.11 valid=2s ipv6=off;\n"
)
_SERVER = "    server api:8000 resolve;\n"
_LISTEN = "    listen 8000;\n"
_AROUND = """
daemon off;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
events {{}}
http {{
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
{deployed}
}}
"""


def configured(folder: Path, port: int, apis: Sequence[int]) -> str:
    """What nginx is started with. Of the deployed file only the addresses differ, whom to ask for them included."""
    deployed = DEPLOYED.read_text()
    servers = "".join(f"    server 127.0.0.1:{each};\n" for each in apis)
    for theirs, ours in ((_RESOLVER, ""), (_SERVER, servers), (_LISTEN, f"    listen 127.0.0.1:{port};\n")):
        assert deployed.count(theirs) == 1, theirs
        deployed = deployed.replace(theirs, ours)
    return _AROUND.format(folder=folder, deployed=deployed)


@asynccontextmanager
async def nginx(folder: Path, apis: Sequence[int]) -> AsyncGenerator[str]:
    """Run it before the APIs on these ports while the block runs; answers its address."""
    program = find("nginx")
    assert program is not None, "nginx is not installed: ./dev test installs it as root; apt-get install nginx"
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(configured(folder, port, apis))
    command = [program, "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: ASYNC220 - it starts at once

    async def listens() -> bool:
        assert process.poll() is None, (folder / "error.log").read_text()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    try:
        await until(listens)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
