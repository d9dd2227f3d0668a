"""Thousands of connections on one thread: waiting tickets' event streams and idle players, held by one webapi process.

Nobody matches: the tickets only wait. Measured are the memory of a stream, the processor time of holding all of them
(heartbeats, signs of life, sweeps), a request among them, and telling everybody at once that his ticket has ended.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Final, cast

import psutil
import uvloop

from bench.harness import Report, Stack, percentile, say, stack
from bench.load import load, request
from bench.players import guests, register
from core import keys
from core.clock import now_ms
from core.doorbell import open_doorbell
from core.redis.client import open_database

GAME: Final = "bench"
STREAMS: Final = 5_000
IDLE: Final = 5_000
OPENING: Final = 64  # connections that are opened at the same time
HOLD_S: Final = 30.0  # two heartbeats of each stream
ENDS: Final = 250  # tickets ended in one round trip
SETTLE_S: Final = 2.0
CONNECTED_S: Final = 0.5  # until a ring reaches webapi
TOLD_S: Final = 30.0


class _Stream(asyncio.Protocol):
    """Posts a ticket, then holds its event stream; tells when its first event and when its end came."""

    def __init__(self, token: str) -> None:
        loop = asyncio.get_running_loop()
        self.token, self.ticket, self.buffer, self.heartbeats = token, "", b"", 0
        self.waiting: asyncio.Future[None] = loop.create_future()
        self.told: asyncio.Future[float] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(request("POST", "/v1/tickets", token=self.token, body={"game": GAME}))

    def data_received(self, data: bytes) -> None:
        if not self.ticket:
            self.buffer += data
            _, found, body = self.buffer.partition(b"\r\n\r\n")
            if found and body.endswith(b"}"):
                self.ticket, self.buffer = json.loads(body)["id"], b""
                path = f"/v1/tickets/{GAME}/{self.ticket}/events"
                self.transport.write(request("GET", path, token=self.token))
        elif not self.waiting.done():
            if b"QUEUED" in data:
                self.waiting.set_result(None)
        elif b"CANCELLED" in data and not self.told.done():
            self.told.set_result(time.perf_counter())
        else:
            self.heartbeats += 1

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self.waiting, self.told):
            if not future.done():
                future.set_exception(exc or ConnectionResetError("the server closed the stream"))


class _Idle(asyncio.Protocol):
    """Asks once, then stays connected."""

    def __init__(self, token: str) -> None:
        self.token, self.open = token, True
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(request("GET", f"/v1/games/{GAME}", token=self.token))

    def data_received(self, data: bytes) -> None:
        if not self.answered.done():
            self.answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False


async def _streams(port: int, tokens: list[str]) -> list[_Stream]:
    loop, made, turn = asyncio.get_running_loop(), list[_Stream](), asyncio.Semaphore(OPENING)

    async def one(token: str) -> None:
        async with turn:
            _, stream = await loop.create_connection(lambda: _Stream(token), "127.0.0.1", port)
            made.append(stream)
            await stream.waiting

    await asyncio.gather(*(one(token) for token in tokens))
    return made


async def _idle(port: int, tokens: list[str]) -> list[_Idle]:
    loop, made, turn = asyncio.get_running_loop(), list[_Idle](), asyncio.Semaphore(OPENING)

    async def one(token: str) -> None:
        async with turn:
            _, idle = await loop.create_connection(lambda: _Idle(token), "127.0.0.1", port)
            made.append(idle)
            await idle.answered

    await asyncio.gather(*(one(token) for token in tokens))
    return made


async def _tell_all(services: Stack, streams: list[_Stream]) -> list[float]:
    """End every ticket and ring for it, as a matchmaker does. Seconds until each heard of it."""
    took: list[float] = []
    async with open_database(services.redis.url) as db, open_doorbell(db) as bell:
        await bell.refresh()
        await asyncio.sleep(CONNECTED_S)
        for start in range(0, len(streams), ENDS):
            some = streams[start : start + ENDS]
            ends = [("ticket_end", keys.game(GAME), [s.ticket, "cancelled", now_ms(), "bench", 0, ""]) for s in some]
            replies = await db.call_many(ends)
            assert all(reply[0] == "ok" for reply in replies), replies[0]
            ended = time.perf_counter()
            bell.ring("ticket", [stream.ticket for stream in some])
            took += [-ended] * len(some)
        async with asyncio.timeout(TOLD_S):
            heard = await asyncio.gather(*(stream.told for stream in streams))
    return [at + ended for at, ended in zip(heard, took, strict=True)]


async def _measure(report: Report, services: Stack, process: psutil.Process) -> None:
    port = services.port
    await register(port, {"id": GAME, "players_per_match": 2, "server": {"arena": {}}})
    say(f"{STREAMS} guests")
    tokens = await guests(port, STREAMS)
    empty = process.memory_info().rss
    began, cpu = time.perf_counter(), services.cpu_s()["webapi"]
    streams = await _streams(port, tokens)
    opened_s, opening = time.perf_counter() - began, services.cpu_s()["webapi"] - cpu
    report.figure("event streams held by one process", len(streams), "streams", at_least=STREAMS)
    report.figure("... opened, ticket posted", len(streams) / opened_s, "1/s")
    report.figure("... CPU of posting a ticket and opening its stream", opening / len(streams) * 1e6, "us")
    await asyncio.sleep(SETTLE_S)
    held = process.memory_info().rss
    report.figure("memory of a stream", (held - empty) / len(streams) / 1000, "kB", at_most=50)
    idle = await _idle(port, tokens[:IDLE])
    await asyncio.sleep(SETTLE_S)
    report.figure(
        "memory of an idle connection", (process.memory_info().rss - held) / len(idle) / 1000, "kB", at_most=30
    )
    say(f"holding them for {HOLD_S:g} s")
    before, beats = services.cpu_s(), sum(stream.heartbeats for stream in streams)
    asked, ticket = list[float](), f"/v1/tickets/{GAME}/{streams[0].ticket}"
    until = time.perf_counter() + HOLD_S
    while time.perf_counter() < until:
        answers = await load(port, lambda _: request("GET", ticket, token=streams[0].token), 1, connections=1)
        asked += answers.seconds
        await asyncio.sleep(0.05)
    after = services.cpu_s()
    for name in ("webapi", "redis"):
        bound = 0.25 if name == "webapi" else None
        report.figure(
            f"holding all: share of a core, {name}", (after[name] - before[name]) / HOLD_S, "cores", at_most=bound
        )
    report.figure(
        "heartbeats sent meanwhile", sum(stream.heartbeats for stream in streams) - beats, "", at_least=STREAMS
    )
    report.figure("idle connections still open", sum(one.open for one in idle), "connections", at_least=IDLE)
    report.figure("a request among them: p50", percentile(asked, 0.5) * 1000, "ms")
    report.figure("a request among them: p99", percentile(asked, 0.99) * 1000, "ms", at_most=50)
    cpu, began = services.cpu_s()["webapi"], time.perf_counter()
    heard = await _tell_all(services, streams)
    report.figure("all tickets ended -> all told", time.perf_counter() - began, "s", at_most=5)
    report.figure("... CPU of telling one", (services.cpu_s()["webapi"] - cpu) / len(streams) * 1e6, "us")
    report.figure("a ticket ended -> told, all at once: p99", percentile(heard, 0.99) * 1000, "ms")
    for one in (*streams, *idle):
        one.transport.close()


def main(report: Report) -> None:
    """Hold them all, then tell them all."""
    with stack() as services:
        process = services.webapi()
        uvloop.run(_measure(report, services, psutil.Process(process.pid)))
