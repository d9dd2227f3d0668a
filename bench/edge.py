"""What playing through webapi costs: latency and CPU of relayed WebSockets beside direct ones, in turns of one run.

Fifty players send twenty messages a second each, of 200 bytes, to a server that echoes them: a thousand messages a
second each way. The server, webapi and the load are processes of their own. Added latency is the median of the rounds
of a relayed turn's percentile less that of the direct turn before it, as neighbours on the machine come and go.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import aiohttp
import psutil
import uvloop

from bench.harness import Report, Stack, percentile, say, stack
from core.model import OpenPort
from core.redis.client import Database, open_database
from tests.support import free_port
from tests.webapi.support import claim, make_ready

PLAYERS = 50
PER_SECOND = 20
TURN_S = 3.0
TURNS = 7  # of each way
MESSAGE = b"x" * 200
ECHO = """
import asyncio, sys, uvloop
from aiohttp import web
async def echo(request):
    socket = web.WebSocketResponse(compress=False); await socket.prepare(request)
    async for message in socket: await socket.send_bytes(message.data)
    return socket
async def raw(reader, writer):
    while data := await reader.read(65536): writer.write(data)
    writer.close()
async def main():
    app = web.Application(); app.router.add_get("/ws", echo)
    runner = web.AppRunner(app, access_log=None); await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
    await asyncio.start_server(raw, "127.0.0.1", int(sys.argv[2]))
    await asyncio.Event().wait()
uvloop.run(main())
"""


@dataclass
class Way:
    """One way to the server: how to connect as player n, and what was measured."""

    connect: Callable[[int], Any]
    turns: list[list[float]] = field(default_factory=list)  # seconds of each message there and back
    cpu_s: dict[str, float] = field(default_factory=lambda: {"webapi": 0.0, "echo": 0.0})
    messages: int = 0

    def ms_per_thousand(self, process: str) -> float:
        """CPU milliseconds of a process for a thousand messages, those there and those back counted."""
        return self.cpu_s[process] * 1e6 / self.messages


async def _player(socket: aiohttp.ClientWebSocketResponse, way: Way, until_s: float, phase_s: float) -> None:
    await asyncio.sleep(phase_s)
    while (start := time.perf_counter()) < until_s:
        await socket.send_bytes(MESSAGE)
        size = 0
        while size < len(MESSAGE):  # over TCP an echo may come in pieces
            size += len((await socket.receive()).data)
        way.turns[-1].append(time.perf_counter() - start)
        way.messages += 2
        await asyncio.sleep(max(0.0, start + 1 / PER_SECOND - time.perf_counter()))


async def _turn(services: Stack, way: Way) -> None:
    """All players for one turn; connecting is not measured."""
    async with AsyncExitStack() as open_sockets:
        sockets = [await open_sockets.enter_async_context(way.connect(number)) for number in range(PLAYERS)]
        way.turns.append([])
        before, until_s = _cpu(services), time.perf_counter() + TURN_S
        await asyncio.gather(*(_player(s, way, until_s, n / PLAYERS / PER_SECOND) for n, s in enumerate(sockets)))
        for name, spent in _cpu(services).items():
            way.cpu_s[name] += spent - before[name]


def _cpu(services: Stack) -> dict[str, float]:
    return {name: sum(psutil.Process(p.pid).cpu_times()[:2]) for name, p in services.processes.items()}


async def _match(
    session: aiohttp.ClientSession, db: Database, url: str, ports: list[OpenPort]
) -> tuple[str, list[str]]:
    """A running match of all players on these ports: its path, and their access tokens."""

    async def call(path: str, body: Any, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with session.post(url + path, json=body, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return await answer.json()

    owner = await call("/v1/accounts", {"name": "dev", "password": "a long password", "role": "developer"})
    game = {"id": "bench", "players_per_match": PLAYERS, "server": {"arena": {}}}
    await call("/v1/games", game, owner["access_token"])
    players = [await call("/v1/guests", {"name": f"p{n}"}) for n in range(PLAYERS)]
    tickets = [await call("/v1/tickets", {"game": "bench"}, player["access_token"]) for player in players]
    match = await claim(db, "bench", *tickets)
    await make_ready(db, "bench", match, *ports)
    return f"/v1/matches/bench/{match}/ws", [player["access_token"] for player in players]


async def _measure(report: Report, services: Stack, web_port: int, raw_port: int) -> None:
    ports = [OpenPort("ws", "ws", web_port), OpenPort("raw", "tcp", raw_port)]
    async with aiohttp.ClientSession() as session, open_database(services.redis.url) as db:
        path, tokens = await _match(session, db, services.url, ports)

        def through(query: str) -> Callable[[int], Any]:
            def connect(number: int) -> Any:
                protocols = ("muster.v1", f"muster.token.{tokens[number]}")
                return session.ws_connect(f"{services.url}{path}{query}", protocols=protocols, compress=0)

            return connect

        ways = {
            "direct": Way(lambda _: session.ws_connect(f"http://127.0.0.1:{web_port}/ws", compress=0)),
            "relayed": Way(through("")),
            "to TCP": Way(through("?port=raw")),
        }
        for number in range(TURNS):
            for name, way in ways.items():
                say(f"turn {number + 1} of {TURNS}: {name}")
                await _turn(services, way)
    _report(report, ways["direct"], ways["relayed"], ways["to TCP"])


def _report(report: Report, direct: Way, relayed: Way, carried: Way) -> None:
    def ms(share: float) -> float:
        return median(percentile(turn, share) for turn in direct.turns) * 1000

    def added(way: Way, share: float) -> float:
        rounds = zip(way.turns, direct.turns, strict=True)
        return median(percentile(turn, share) - percentile(beside, share) for turn, beside in rounds) * 1000

    report.figure("direct: there and back, p50", ms(0.5), "ms")
    report.figure("direct: there and back, p99", ms(0.99), "ms")
    report.figure("relayed: added to p50", added(relayed, 0.5), "ms")
    report.figure("relayed: added to p99", added(relayed, 0.99), "ms", at_most=2)
    report.figure("relayed to a TCP port: added to p99", added(carried, 0.99), "ms", at_most=2)
    report.figure("server's CPU a thousand messages, direct", direct.ms_per_thousand("echo"), "ms")
    report.figure("webapi's CPU a thousand messages, relayed", relayed.ms_per_thousand("webapi"), "ms")
    report.figure("webapi's CPU a thousand messages, to a TCP port", carried.ms_per_thousand("webapi"), "ms")
    ratio = relayed.ms_per_thousand("webapi") / direct.ms_per_thousand("echo")
    # An echo reads a message or writes it; a relay does both.
    report.figure("a message relayed, by what one costs a server that only echoes", ratio, "ratio", at_most=2)


def main(report: Report) -> None:
    with stack() as services:
        services.webapi()
        web_port, raw_port = free_port(), free_port()
        services.start("echo", "-c", ECHO, str(web_port), str(raw_port))
        time.sleep(1.0)
        uvloop.run(_measure(report, services, web_port, raw_port))
