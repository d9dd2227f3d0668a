"""Matches through the public address alone: the Python client kit against a whole stack, while its API is restarted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import aiohttp

from examples.clients.python.muster_client import Ended, Muster, Ticket
from tests.e2e.test_shifumi import EXAMPLE, is_over
from tests.stack import ROOT, Stack, Visit
from tests.support import eventually, free_port

ARENA: dict[str, Any] = {"score_limit": 50, "time_limit_s": 300.0}


class Replicas:
    """The stack's API and a second process of it, behind one address that leads to whoever listens."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.ports = [int(stack.env["MUSTER_WEBAPI_PORT"]), free_port()]
        self.url = ""
        self._second: subprocess.Popen[bytes] | None = None

    def start_second(self) -> None:
        """Start the second one, with the secret of the first."""
        env = self._stack.env | {
            "REDIS_URL": self._stack.redis_url,
            "MUSTER_SECRET": (self._stack.data / "secret").read_text(),
            "MUSTER_WEBAPI_PORT": str(self.ports[1]),
            "MUSTER_WEBAPI_AUTH_PORT": "0",
            "MUSTER_WEBAPI_METRICS_PORT": "0",
        }
        self._second = subprocess.Popen([sys.executable, "-m", "webapi"], cwd=ROOT, env=env, stderr=subprocess.DEVNULL)

    def stop_second(self) -> int:
        """Stop it as a rolling update does; its exit code."""
        assert self._second is not None
        self._second.terminate()
        return self._second.wait(60)

    async def answers(self, number: int) -> bool:
        """Whether one of them serves."""
        async with aiohttp.ClientSession() as session:
            with suppress(OSError, aiohttp.ClientError):
                async with session.get(f"http://127.0.0.1:{self.ports[number]}/readyz") as response:
                    return response.status == 200
        return False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lead a connection to the first that takes it."""
        for port in self.ports:
            with suppress(OSError):
                back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_pump(reader, back_writer), _pump(back_reader, writer))
                return
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def replicas(stack: Stack) -> AsyncIterator[Replicas]:
    """Two of them for the length of the block."""
    made = Replicas(stack)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    made.start_second()
    try:
        await eventually(lambda: made.answers(1))
        yield made
    finally:
        server.close()
        made.stop_second()


class Fighter:
    """Plays the arena through the edge until told to stop, and keeps what it saw."""

    def __init__(self, muster: Muster) -> None:
        self.muster = muster
        self.snapshots = self.connections = 0
        self.codes: list[int | None] = []
        self.matches: set[str] = set()
        self.stop = False

    async def play(self, ticket: Ticket) -> None:
        """Join with each connection, drive with each snapshot."""
        async with aclosing(self.muster.connections(ticket, via="edge")) as connections:
            async for connection in connections:
                self.connections += 1
                self.matches.add(connection.ticket["match"])
                await connection.send({"type": "join", "token": connection.join_token})
                seq = 0
                with suppress(OSError):
                    async for message in connection:
                        heard = json.loads(message)
                        assert heard["type"] != "error", heard
                        if heard["type"] == "welcome":
                            seq = heard["ack"]
                        elif heard["type"] == "snapshot":
                            self.snapshots += 1
                            seq += 1
                            move = {"type": "move", "throttle": 1}
                            await connection.send({"type": "input", "seq": seq, "commands": [move]})
                        if self.stop:
                            return
                self.codes.append(connection.close_code)

    async def plays_on(self) -> None:
        """Wait until it sees more of the match."""
        before = self.snapshots

        async def more() -> bool:
            return self.snapshots > before + 5

        await eventually(more)


async def test_players_play_on_while_the_api_is_restarted(stack: Stack, here: Visit, game_id: str) -> None:
    """Two replicas are stopped in turn: players are told 1012, come back by the other one, and it is the same match."""
    await here.register({"id": game_id, "players_per_match": 2, "server": {"arena": ARENA}})
    async with replicas(stack) as api, Muster(api.url) as ann, Muster(api.url) as bob:
        fighters = [Fighter(ann), Fighter(bob)]
        tickets = await asyncio.gather(*(fighter.muster.queue(game_id) for fighter in fighters))
        playing = [asyncio.ensure_future(f.play(t)) for f, t in zip(fighters, tickets, strict=True)]
        await asyncio.gather(*(fighter.plays_on() for fighter in fighters))

        async def back(times: int) -> None:
            async def connected() -> bool:
                return all(fighter.connections >= times for fighter in fighters)

            await eventually(connected)
            await asyncio.gather(*(fighter.plays_on() for fighter in fighters))

        os.kill(stack.pid("webapi"), signal.SIGTERM)
        await back(2)
        await eventually(lambda: api.answers(0))
        assert api.stop_second() == 0
        await back(3)
        api.start_second()
        await eventually(lambda: api.answers(1))

        assert {match for fighter in fighters for match in fighter.matches} == {tickets[0]["match"]}
        assert [set(fighter.codes) for fighter in fighters] == [{1012}, {1012}]
        assert (await here.match(game_id, tickets[0]["match"]))["state"] == "RUNNING"
        for fighter in fighters:
            fighter.stop = True
        await asyncio.gather(*playing)


async def test_a_raw_tcp_game_is_played_from_a_browser_s_point_of_view(here: Visit, game_id: str) -> None:
    """Rock, paper, scissors knows no WebSockets: bytes in binary messages play it, and its end is a normal close."""
    await here.register({**json.loads((EXAMPLE / "game.json").read_text()), "id": game_id})

    async def play(throws: bytes) -> tuple[bytes, int | None, str]:
        async with Muster(here.url) as muster:
            ticket = await muster.queue(game_id)
            answers, code = b"", None
            try:
                async for connection in muster.connections(ticket, via="edge"):
                    for byte in throws:
                        await connection.send(bytes([byte]))
                    async for message in connection:
                        assert isinstance(message, bytes)
                        answers += message
                    code = code or connection.close_code
            except Ended as ended:
                return answers, code, ended.reason
            raise AssertionError("the connections have no end")

    one, two = await asyncio.gather(play(b"RPxP"), play(b"RRR"))
    assert sorted([one, two]) == sorted([(b"DW?W", 1000, "over"), (b"DLL", 1000, "over")])
    match = next(iter(await here.matches(game_id)))
    assert (await is_over(here, game_id, match))["reason"] == "exited"


async def test_the_kit_accepts_matches_and_reads_boards(here: Visit, game_id: str) -> None:
    """Asked, it answers; both are told of each other's answer; the board of a new game is empty."""
    await here.register(
        {"id": game_id, "players_per_match": 2, "acceptance_timeout_s": 60.0, "server": {"arena": ARENA}}
    )

    async def wait() -> tuple[str, list[str]]:
        async with Muster(here.url) as muster:
            account = await muster.register(f"kit-{game_id}-{free_port()}", "a long password")
            assert (await muster.login(account["name"], "a long password"))["player"] == account["player"]
            seen: list[str] = []
            answers: list[asyncio.Task[Any]] = []

            def changed(ticket: Ticket) -> None:
                seen.append(ticket["status"])
                if ticket["status"] == "REQUIRES_ACCEPTANCE" and not ticket["acceptance"]["yours"] and not answers:
                    answers.append(asyncio.ensure_future(muster.accept(ticket)))

            ticket = await muster.queue(game_id, changed=changed)
            await asyncio.gather(*answers)
            assert (await muster.board(game_id, top=3))["entries"] == []
            return ticket["status"], seen

    for status, seen in await asyncio.gather(wait(), wait()):
        assert status == "COMPLETED"
        assert "REQUIRES_ACCEPTANCE" in seen
