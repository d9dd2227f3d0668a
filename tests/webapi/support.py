"""A webapi in this process, asked over HTTP as a client would; and matches made by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from core import keys
from core.clock import new_id, now_ms
from core.model import Connection, Match, MatchPlayer, OpenPort, Server, Timers
from core.redis import client as redis_client
from core.redis.client import Database
from core.settings import Common
from tests.support import PATIENCE_S, eventually
from webapi.app import make_app
from webapi.context import SERVICES, Services
from webapi.metrics import Metrics
from webapi.settings import Settings

SECRET = "a secret of thirty-two bytes or so"
PASSWORD = "correct horse"
ARENA = {"players_per_match": 2, "server": {"arena": {}}}


@dataclass
class Answer:
    """What came back; `body` is the parsed JSON, or the text."""

    status: int
    body: Any
    headers: Mapping[str, str]  # whatever the case

    @property
    def problem(self) -> str:
        """The code of a problem document, after a look at its form."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self
        assert self.body["status"] == self.status
        assert self.body["title"]
        assert self.body["detail"]
        return str(self.body["type"].removeprefix("urn:muster:problem:"))


@dataclass
class Api:
    """A running webapi and how to ask it."""

    client: TestClient[Any, Any]
    services: Services

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str = "", headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:  # fmt: skip
        """One request; `data` are raw bytes in place of a JSON body."""
        async with await self.open(method, path, body, token=token, headers=headers, data=data) as response:
            is_json = "json" in response.headers.get("Content-Type", "")
            read = await response.read()
            return Answer(response.status, msgspec.json.decode(read) if is_json else read.decode(), response.headers)

    async def open(
        self, method: str, path: str, body: Any = None, *, token: str = "", headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> ClientResponse:  # fmt: skip
        """As `ask`, the body left to be read: for streams."""
        given = dict(headers or {})
        if token:
            given["Authorization"] = f"Bearer {token}"
        if data is not None:
            given.setdefault("Content-Type", "application/json")
            return await self.client.request(method, path, data=data, headers=given)
        return await self.client.request(method, path, json=body, headers=given)

    async def guest(self, name: str = "Gast") -> dict[str, Any]:
        """A new guest's session."""
        return self._made(await self.ask("POST", "/v1/guests", {"name": name}))

    async def account(self, name: str, role: str = "player") -> dict[str, Any]:
        """A new account's session."""
        return self._made(await self.ask("POST", "/v1/accounts", {"name": name, "password": PASSWORD, "role": role}))

    async def game(self, game: str = "tanks", **spec: Any) -> dict[str, Any]:
        """The session of a new developer who has registered a game."""
        developer = await self.account(f"dev of {game}", "developer")
        self._made(await self.ask("POST", "/v1/games", {"id": game, **ARENA, **spec}, token=developer["access_token"]))
        return developer

    async def ticket(self, player: dict[str, Any], game: str = "tanks", **fields: Any) -> dict[str, Any]:
        """A new ticket of this player."""
        return self._made(await self.ask("POST", "/v1/tickets", {"game": game, **fields}, token=player["access_token"]))

    @staticmethod
    def _made(answer: Answer) -> dict[str, Any]:
        assert answer.status == 201, answer
        return dict(answer.body)


@asynccontextmanager
async def open_api(redis_url: str, *, signing_secrets: str = "", **settings: Any) -> AsyncIterator[Api]:
    """A webapi for the length of the block. It waits for a Redis that is slow: only one that is away is a 503."""
    common = Common(redis_url=redis_url, secret=SECRET, signing_secrets=signing_secrets)
    app = make_app(common, Settings(**{"open_developers": True, **settings}), Metrics())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(redis_client, "TIMEOUT_S", PATIENCE_S)
        async with TestClient(TestServer(app, handler_cancellation=True)) as client:
            yield Api(client, app[SERVICES])


async def waited_for(ask: Callable[[], Awaitable[Answer]], wait_s: float) -> Answer:
    """The answer to a call that waits so long for it; asked again where it came back without one, but only then."""

    async def given() -> Answer | None:
        began = time.monotonic()
        found = await ask()
        if found.status not in (202, 503):
            return found
        assert time.monotonic() - began >= wait_s - 1, found
        return None

    found = await eventually(given, within_s=120)
    assert found is not None
    return found


@contextmanager
def held_checks(api: Api) -> Iterator[threading.Event]:
    """Each password that is checked meanwhile is at argon2 until this is set, and not for some milliseconds."""
    passwords, let_go = api.services.login._passwords, threading.Event()
    same = passwords._same

    def held(kept: str, password: str) -> bool:
        let_go.wait()
        return same(kept, password)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(passwords, "_same", held)
        try:
            yield let_go
        finally:
            let_go.set()


async def claim(
    db: Database, game: str, *tickets: dict[str, Any], ask_s: float | None = None, server: Server | None = None
) -> str:
    """What a matchmaker does: claim these tickets for a new match that asks for `ask_s`; returns its id."""
    token = (await db.call("lease_take", keys.game(game), "tests", 60_000))[0]
    players = [
        MatchPlayer(p["id"], p["name"], "players", ticket["id"]) for ticket in tickets for p in ticket["players"]
    ]
    match = Match(
        new_id("match"), game, 1, now_ms(), players, server or Server(arena={}), Timers(), 3, 30,
        acceptance_timeout_s=ask_s,
    )  # fmt: skip
    reply = await db.call(
        "match_claim", keys.game(game), token, now_ms(), now_ms() + 60_000, 100, match.id, msgspec.json.encode(match),
        *[ticket["id"] for ticket in tickets],
    )  # fmt: skip
    assert reply == ["ok"]
    return match.id


async def make_ready(db: Database, game: str, match: str, *ports: OpenPort) -> None:
    """What a server does: take its match, and be ready at these ports."""
    await db.call("server_attach", keys.game(game), match, "s-1", now_ms(), "{}")
    connection = msgspec.json.encode(Connection("127.0.0.1", list(ports) or [OpenPort("game", "udp", 7000)]))
    reply = await db.call(
        "match_step", keys.game(game), match, "ready", now_ms(), "s-1", "", connection, now_ms() + 60_000, 0
    )
    assert reply[0] == "ok"


async def end(db: Database, game: str, match: str, event: str = "finish", reason: str = "finished") -> None:
    """What ends a match: the server's result, or its loss."""
    result = '{"winner": "players"}' if event == "finish" else ""
    reply = await db.call("match_step", keys.game(game), match, event, now_ms(), "", reason, result, 0, 3)
    assert reply[0] == "ok"


async def next_event(response: ClientResponse) -> dict[str, Any] | None:
    """The next event of a stream as {event, id, data}; None at its end. Comments are left out."""
    found: dict[str, Any] = {}
    while line := (await response.content.readline()).decode():
        line = line.rstrip("\n")
        if not line and "data" in found:
            return found
        name, _, value = line.partition(": ")
        if name in ("event", "id"):
            found[name] = value
        elif name == "data":
            found["data"] = msgspec.json.decode(value)
    return None
