"""Waiting players as cheap as they can be: one connection each, a ticket posted, then its stream until COMPLETED."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import cast

from bench.load import load, request
from core import keys
from core.redis.client import Database

_MATCH = re.compile(rb'"match":\s*"(m-[0-9a-z]{26})"')


@dataclass(frozen=True, slots=True)
class Held:
    """A player who holds the address: when the ticket was sent and when its completion arrived (perf_counter s)."""

    match: str
    posted_s: float
    held_s: float


class _Waiter(asyncio.Protocol):
    """Sends POST, then GET .../events on the same connection; done when the stream says where the match is played."""

    def __init__(self, game: str, token: str) -> None:
        self.game, self.token = game, token
        self.buffer = b""
        self.posted_s = 0.0
        self.done: asyncio.Future[Held] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.posted_s = time.perf_counter()
        self.transport.write(request("POST", "/v1/tickets", token=self.token, body={"game": self.game}))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.buffer.startswith(b"HTTP/1.1 20") or self.done.done():
            self._fail(self.buffer[:300].decode(errors="replace"))
        elif self.buffer.startswith(b"HTTP/1.1 201"):
            _head, found, body = self.buffer.partition(b"\r\n\r\n")
            if found and body.endswith(b"}"):
                self.buffer = b""
                path = f"/v1/tickets/{self.game}/{json.loads(body)['id']}/events"
                self.transport.write(request("GET", path, token=self.token))
        elif b'"connection"' in self.buffer and (found_match := _MATCH.findall(self.buffer)):
            self.done.set_result(Held(found_match[-1].decode(), self.posted_s, time.perf_counter()))
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"connection lost: {exc}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))
            self.transport.close()


async def wait_for_match(port: int, game: str, token: str) -> Held:
    """Queue one player and wait until he holds the address."""
    loop = asyncio.get_running_loop()
    _, waiter = await loop.create_connection(lambda: _Waiter(game, token), "127.0.0.1", port)
    return await waiter.done


async def guests(port: int, number: int) -> list[str]:
    """Access tokens of new guests."""
    answers = await load(
        port, lambda i: request("POST", "/v1/guests", body={"name": f"bot{i}"}), number, keep_bodies=True
    )
    assert set(answers.statuses) == {201}, answers.statuses
    return [json.loads(body)["access_token"] for body in answers.bodies]


async def until_over(db: Database, game: str, within_s: float) -> None:
    """Wait until no match of the game is live. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while await db.do("ZCARD", f"{keys.game(game)}:live"):
            await asyncio.sleep(0.02)


async def register(port: int, game: dict[str, object]) -> None:
    """Register a game under a new developer's account."""
    account = {"name": "benchdev", "password": "a long password", "role": "developer"}
    made = await load(port, lambda _: request("POST", "/v1/accounts", body=account), 1, connections=1, keep_bodies=True)
    token = json.loads(made.bodies[0])["access_token"]
    answer = await load(port, lambda _: request("POST", "/v1/games", token=token, body=game), 1, connections=1)
    assert set(answer.statuses) == {201}, answer.statuses


def start_times(held: list[Held]) -> list[float]:
    """Per match, milliseconds from the last ticket sent to the moment at which every player holds the address."""
    matches: dict[str, list[Held]] = {}
    for one in held:
        matches.setdefault(one.match, []).append(one)
    return [(max(h.held_s for h in m) - max(h.posted_s for h in m)) * 1000 for m in matches.values()]
