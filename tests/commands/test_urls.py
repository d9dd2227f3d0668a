"""Packs executed by a URL: signed calls, bounded answers, nonsense, and addresses that may not be called."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from core import packstore
from core.addresses import networks
from core.outbound import Outbound, Refused, signing_key
from core.redis.client import Database
from tests.commands.support import DRAINED_S, GAME, KINDS, SECRET, CommandsSpec, look, pack, register, running, send
from tests.support import eventually

A, B = "p-a", "p-b"
LOOPBACK = networks("127.0.0.0/8", "MUSTER_HANDLER_NETWORKS")


class Handler:
    """A developer's service: sums up, refuses to cheat, and misbehaves when told to."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.misbehave: Callable[[dict[str, Any]], Any] | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self._verify(request, body)
        asked = msgspec.json.decode(body)
        self.calls.append(asked)
        if self.misbehave is not None:
            made = self.misbehave(asked)
            made = await made if asyncio.iscoroutine(made) else made
            return made if isinstance(made, web.StreamResponse) else web.json_response(made)
        return web.json_response({"results": [self._job(job) for job in asked["jobs"]]})

    def _verify(self, request: web.Request, body: bytes) -> None:
        """As docs/commands.md tells developers to."""
        key = signing_key(SECRET, f"commands:{GAME}")
        text = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + body
        wanted = base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()
        assert request.headers["webhook-signature"] == f"v1,{wanted}"

    def _job(self, job: dict[str, Any]) -> dict[str, Any]:
        state, done = job["state"], 0
        for made in job["packs"]:
            total = state["sum"]
            for index, command in enumerate(made["commands"]):
                if command["name"] == "cheat":
                    failed = {"index": index, "code": "refused", "detail": "no such treasure"}
                    return {"done": done, "state": state, "failed": failed}
                total += command["args"]["n"]
            state, done = {"sum": total}, done + 1
        return {"done": done, "state": state}


@asynccontextmanager
async def served(db: Database) -> AsyncIterator[Handler]:
    """A handler at a URL of this host, in the game's registration."""
    handler = Handler()
    app = web.Application()
    app.router.add_post("/packs", handler.answer)
    async with TestServer(app) as server:
        await register(db, CommandsSpec(KINDS, url=str(server.make_url("/packs")), initial={"sum": 0}))
        yield handler


async def drained(db: Database, player: str) -> bool:
    return (await look(db, player)).waiting == 0


async def total(db: Database, player: str) -> int:
    return int(msgspec.json.decode((await look(db, player, profile=True)).state)["sum"])


async def test_a_url_executes_packs_of_many_players(db: Database) -> None:
    """Its calls are signed, hold state and packs, and what it answers is written; a refusal skips what is later."""
    async with served(db) as handler, running(db, handler_networks="127.0.0.0/8"):
        for seq in (1, 2):
            await send(db, A, pack(seq, "add", "add", n=seq))
        await send(db, B, pack(1, "add", n=7))
        await eventually(lambda: drained(db, A))
        await eventually(lambda: drained(db, B))
        await send(db, A, pack(3, "add", "cheat"))
        await eventually(lambda: drained(db, A))
        assert {call["game"] for call in handler.calls} == {GAME}
    assert (await total(db, A), await total(db, B)) == (6, 7)
    failure = (await look(db, A)).failure
    assert failure is not None
    assert (failure.seq, failure.index, failure.command, failure.detail) == (3, 1, "cheat", "no such treasure")


async def _slow(_: Any) -> Any:
    await asyncio.sleep(30)


NONSENSE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "answered 500": lambda asked: web.Response(status=500),
    "answered 302": lambda asked: web.Response(status=302, headers={"Location": "/packs"}),
    "not understood": lambda asked: web.Response(body=b"[[[" * 1000),
    "results to": lambda asked: {"results": []},
    "are done": lambda asked: {"results": [{"done": 99, "state": {}} for _ in asked["jobs"]]},
    "has no state": lambda asked: {"results": [{"done": 1} for _ in asked["jobs"]]},
    "neither done": lambda asked: {"results": [{"done": 0} for _ in asked["jobs"]]},
    "none of the next": lambda asked: {"results": [{"done": 0, "failed": {"index": 9}} for _ in asked["jobs"]]},
    "at most 262144": lambda asked: {"results": [{"done": 1, "state": {"x": "y" * 300_000}} for _ in asked["jobs"]]},
    "larger than": lambda asked: web.Response(body=b" " * 5_000_000),
    "no answer within": _slow,
}


@pytest.mark.parametrize("words", list(NONSENSE))
async def test_what_a_url_answers_wrongly_is_nobodys_error(db: Database, words: str) -> None:
    """Whatever it answers but results: packs wait, the status says why, and they are executed once it is well."""
    # Only who is too slow is waited for but briefly: on a busy machine every other answer may take a while too.
    handler_s = 1.0 if NONSENSE[words] is _slow else 30.0
    async with served(db) as handler, running(db, handler_networks="127.0.0.0/8", handler_s=handler_s):
        handler.misbehave = NONSENSE[words]
        await send(db, A, pack(1, n=5))

        async def told() -> bool:
            return words in (await look(db, A)).trouble

        await eventually(told)
        assert (await look(db, A)).failure is None
        handler.misbehave = None
        await eventually(lambda: drained(db, A), within_s=DRAINED_S)
    assert await total(db, A) == 5
    assert (await look(db, A)).trouble == ""


async def test_one_players_trouble_does_not_hold_up_others(db: Database) -> None:
    """Who made a call fail is asked about alone from then on."""

    def picky(asked: dict[str, Any]) -> Any:
        if any(job["player"] == A for job in asked["jobs"]):
            return web.Response(status=500)
        return {"results": [{"done": len(job["packs"]), "state": {"sum": 1}} for job in asked["jobs"]]}

    async with served(db) as handler, running(db, handler_networks="127.0.0.0/8"):
        handler.misbehave = picky
        others = [f"p-{i}" for i in range(200) if packstore.keys.shard(GAME, f"p-{i}") == packstore.keys.shard(GAME, A)]
        for player in (A, *others):
            await send(db, player, pack(1))
        for player in others:
            await eventually(lambda player=player: drained(db, player), within_s=DRAINED_S)
        assert (await look(db, A)).waiting == 1


async def test_a_url_into_the_operators_network_is_not_called(db: Database) -> None:
    """Without the operator's leave nothing of this host is asked, by name or by address: the status says so."""
    async with served(db) as handler, running(db):
        await send(db, A, pack(1))

        async def told() -> str:
            return (await look(db, A)).trouble

        assert "not a public address" in await eventually(told)
        assert handler.calls == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0177.0.0.1", "2130706433", "127.1", "[::ffff:127.0.0.1]"]
)
async def test_no_spelling_of_loopback_is_connected_to(host: str) -> None:
    """A name, an address and its odd spellings: whatever they resolve to is judged before it is connected to."""
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", answer)
    async with TestServer(app) as server:
        outbound = Outbound(())
        try:
            with pytest.raises(Refused):
                await outbound.post(f"http://{host}:{server.port}/", b"{}", {}, within_s=5, most=1000)
        finally:
            await outbound.close()
    assert not asked
