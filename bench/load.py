"""A cheap HTTP/1.1 load: keep-alive connections that each send a prepared request, wait for its answer, and repeat.

An aiohttp client costs more than the server under test; this costs a fifth of it, so that one core can load another.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import httptools

Make = Callable[[int], bytes]  # number of the request -> its bytes


def request(method: str, path: str, *, token: str = "", body: Any = None) -> bytes:
    """The bytes of one request to a loopback server."""
    data = b"" if body is None else json.dumps(body).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if token:
        head.append(f"Authorization: Bearer {token}")
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join([*head, "", ""]).encode() + data


@dataclass
class Answers:
    """What came back: seconds of each request, statuses counted, bodies if kept."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    elapsed_s: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.elapsed_s


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.body = bytearray()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.body.clear()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        assert self.answer is not None
        self.answer.set_result((self.parser.get_status_code(), bytes(self.body)))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    async def ask(self, data: bytes) -> tuple[int, bytes]:
        assert self.transport is not None
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return await self.answer


async def load(port: int, make: Make, total: int, *, connections: int = 16, keep_bodies: bool = False) -> Answers:
    """Send requests 0 to `total`-1 over `connections`, as fast as they are answered."""
    loop = asyncio.get_running_loop()
    answers, numbers = Answers(), iter(range(total))

    async def work() -> None:
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", port)
        for number in numbers:
            start = time.perf_counter()
            status, body = await connection.ask(make(number))
            answers.seconds.append(time.perf_counter() - start)
            answers.statuses[status] = answers.statuses.get(status, 0) + 1
            if keep_bodies:
                answers.bodies.append(body)
        assert connection.transport is not None
        connection.transport.close()

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    answers.elapsed_s = time.perf_counter() - start
    return answers
