"""A gate between the product and its database, which a test can close: a fault that PostgreSQL cannot be asked for."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sqlalchemy.engine import make_url


class Gate:
    """Passes connections on to a PostgreSQL server while it is open."""

    def __init__(self, database_url: str) -> None:
        target = make_url(database_url)
        self._socket = f"{target.query['host']}/.s.PGSQL.{target.port or 5432}"
        self._target = target
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def database_url(self) -> str:
        """The database as it is reached through the gate."""
        through = self._target.set(query={}).set(host="127.0.0.1", port=self._port)
        return through.render_as_string(hide_password=False)

    async def open(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut what is connected, and refuse what comes."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # In the set before anything is waited for: whatever happens meanwhile, it is cut in the end.
        self._open.add(writer)
        mine = {writer}
        try:
            beyond, back = await asyncio.open_unix_connection(self._socket)
            mine.add(back)
            self._open.add(back)

            async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
                with suppress(ConnectionError):
                    while data := await source.read(65_536):
                        target.write(data)
                        await target.drain()
                target.transport.abort()

            await asyncio.gather(copy(reader, back), copy(beyond, writer))
        finally:
            for each in mine:
                each.transport.abort()
            self._open -= mine
