"""A receiver of traces that keeps nothing, in a process of its own.

    python -m devtools.bench.observing.receiver PORT

It prints how many bytes came when its input ends.
"""

from __future__ import annotations

import asyncio
import sys


class Receiver:
    """Answers each request with an empty 200, which OTLP/HTTP takes for "all was accepted"."""

    def __init__(self) -> None:
        self.received = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take what one connection sends."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.received += length
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main(port: int) -> int:
    """Serve until the input ends; answer how many bytes came."""
    receiver = Receiver()
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", port):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
    return receiver.received


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(main(int(sys.argv[1])))}\n")
