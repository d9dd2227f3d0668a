"""The auth listener of a webapi in this process, and a client of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import msgspec

from tests.webapi.support import Api, open_api
from webapi.lines import listening_lines

ANSWER_S = 60.0


@dataclass
class Line:
    """A connection to the listener."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes | dict[str, Any]) -> None:
        """Send a request, or these bytes as they are."""
        self.writer.write(data if isinstance(data, bytes) else msgspec.json.encode(data) + b"\n")
        await self.writer.drain()

    async def hear(self) -> Any:
        """The next answer; None where the connection was ended instead."""
        async with asyncio.timeout(ANSWER_S):
            line = await self.reader.readline()
        return msgspec.json.decode(line) if line else None

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """One request and its answer."""
        await self.say({"type": kind, **fields})
        answer = await self.hear()
        assert answer is not None, "the connection was ended"
        return dict(answer)


@dataclass
class Door:
    """A webapi with both of its doors."""

    api: Api
    port: int

    @asynccontextmanager
    async def line(self, first: bytes = b"") -> AsyncIterator[Line]:
        """A connection that begins with these bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with closing(writer):
            writer.write(first)
            yield Line(reader, writer)

    def count(self, name: str, **labels: str) -> float:
        """A figure of the metrics; 0 for one that is not there yet."""
        return self.api.services.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def open_door(redis_url: str, **settings: Any) -> AsyncIterator[Door]:
    """A webapi that listens for lines too, for the length of the block."""
    async with open_api(redis_url, auth_port=0, **settings) as api, listening_lines(api.services) as port:
        assert port is not None
        yield Door(api, port)


def proxy(client: str) -> bytes:
    """What Nginx says first for this client."""
    return f"PROXY TCP4 {client} 192.0.2.100 40000 22550\r\n".encode()
