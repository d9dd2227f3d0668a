"""A game server's own part of Redis: its match's document, state and beats.

Every step recognises its repeat, so one whose reply was lost is asked again. `NotOurs` means that the match has ended,
is gone, or has another server: then this process has nothing more to do for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec
import orjson

from core import keys
from core.clock import now_ms
from core.errors import Conflict, MusterError, Unavailable
from core.lifecycle import MatchEvent, MatchState
from core.model import Connection, Match
from core.stored import Stored
from gamepod.outcome import Outcome

log = logging.getLogger(__name__)
T = TypeVar("T")

BEAT_S: Final = 2.0
LOST_S: Final = 10.0  # without a beat the matchmaker looks for the server
PAUSE_S: Final = 0.2  # before a step is asked again; a restart of Redis takes about a second
MOST_TRIES: Final = 0  # match_step reads the bound of a ticket's tries for fail only

_stored_match: Final = Stored(Match)

# What a step finds when an earlier attempt of the same arrived and its reply was lost.
_REPEAT: Final = {
    MatchEvent.READY: ("illegal", MatchState.RUNNING),
    MatchEvent.FINISH: ("illegal", MatchState.ENDED),
    MatchEvent.FAIL: ("illegal", MatchState.FAILED),
}


class NotOurs(MusterError):
    """The match is over, gone, or another server's; `code` says which."""

    def __init__(self, found: str, state: str) -> None:
        super().__init__(f"the match is {found} {state}".rstrip(), code=found)


class Caller(Protocol):
    """What the store needs of a Redis client."""

    async def call(self, function: str, base: str, *args: str | bytes | int | float) -> Any: ...

    async def do(self, *command: str | bytes | int | float) -> Any: ...


class Store:
    """The match's own server speaks. All methods raise Unavailable while Redis is away."""

    def __init__(self, redis: Caller, game: str, match: str, server: str) -> None:
        self._redis = redis
        self._game = game
        self._base = keys.game(game)
        self._match = match
        self._server = server
        self._told: Connection | None = None  # that it is ready
        self.called = False  # commands from outside wait, as of the last beat

    async def attach(self, where: dict[str, Any]) -> tuple[Match, MatchState]:
        """Take the match for this process, for ever; RUNNING where we said Ready in an earlier life. Raises NotOurs."""
        host = orjson.dumps(where)
        reply = await self._redis.call("server_attach", self._base, self._match, self._server, now_ms(), host)
        if reply[0] != "ok":
            raise NotOurs(*reply[:2])
        return _stored_match.decode(reply[2]), MatchState(reply[1])

    async def numbers(self) -> tuple[int, int]:
        """The last batch in the log, and the last call to the boards, that an earlier life of this server wrote."""
        bases = (keys.shard(self._game, self._match), keys.boards(self._game))
        found = [await self._redis.do("GET", f"{base}:batch:{self._match}") for base in bases]
        return int(found[0] or 0), int(found[1] or 0)

    async def take(self, match: str, where: dict[str, Any]) -> tuple[Match, MatchState]:
        """As `attach`, of the match that this server was allocated to."""
        self._match = match
        return await self.attach(where)

    async def public_address(self, node: str, address: str) -> str:
        """What players reach `node` by, where the matchmaker knows; else `address`, which the node has inside."""
        return await self._redis.do("GET", keys.node(node, address)) or address

    async def ready(self, connection: Connection) -> None:
        """The server is playable: the players are told where. Raises NotOurs."""
        kept = msgspec.json.encode(connection)
        await self._step(MatchEvent.READY, "", kept, now_ms() + int(LOST_S * 1000), MOST_TRIES)
        self._told = connection

    async def end(self, outcome: Outcome, tries: int) -> None:
        """Tell how the match ended. `tries`: how many matches may fail under a ticket. Raises NotOurs."""
        await self._step(MatchEvent(outcome.event), outcome.reason, outcome.result, 0, tries)

    async def report(self, text: bytes) -> None:
        """How the players did so far or in the end, as the game tells it. Raises NotOurs, Conflict before Ready."""
        reply = await self._redis.call("match_report", self._base, self._match, self._server, text)
        if reply[0] == "early":
            raise Conflict("the match has not begun: nothing can be reported yet")
        if reply[0] != "ok":
            raise NotOurs(*reply[:2])

    async def beat(self, state: str, figures: dict[str, Any], left: list[str], roster: int, *, running: bool) -> int:
        """Tell that this server lives, and who left of the seats that it knows.

        Before `running` the start timer runs on. Returns the number of the newest roster. Raises NotOurs.
        """
        now = now_ms()
        look_at = now + int(LOST_S * 1000) if running else 0
        reply = await self._redis.call(
            "server_beat",
            self._base,
            self._match,
            self._server,
            now,
            look_at,
            state,
            orjson.dumps(figures),
            orjson.dumps(left),
            roster,
        )
        if reply[0] != "ok":
            raise NotOurs(*reply[:2])
        self.called = "inbox" in reply[3:]
        if running and reply[1] == MatchState.PLACING and self._told is not None:
            log.warning("Redis has lost that this server is ready, in a fail-over: it is told again")
            await self.ready(self._told)
        return int(reply[2])

    async def commands(self, most: int, answers: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Answer commands from outside (place, message id, answer), and take those that wait: place, message id, text.

        What was taken and not answered comes again. Raises NotOurs.
        """
        flat = [part for row in answers for part in row]
        found, *rest = await self._redis.call("inbox_take", self._base, self._match, self._server, most, *flat)
        if found != "ok":
            raise NotOurs(found, "")
        return list(zip(rest[::3], rest[1::3], rest[2::3], strict=True))

    async def kept(self) -> str | None:
        """What an earlier life of this server has kept."""
        found: str | None = await self._redis.do("HGET", keys.match(self._game, self._match), "kept")
        return found

    async def keep(self, told: bytes) -> None:
        """Keep this for the next life. Raises NotOurs."""
        reply = await self._redis.call("match_keep", self._base, self._match, self._server, told)
        if reply[0] != "ok":
            raise NotOurs(*reply[:2])

    async def said(self) -> bool:
        """Whether the launcher has seen the line by which the game is ready; while Redis is away not yet."""
        try:
            return await self._redis.do("HGET", keys.match(self._game, self._match), "said_ms") is not None
        except Unavailable:
            return False

    async def seats(self) -> tuple[Match, int]:
        """The match with its seats as they are now, and the number of that roster. Raises NotOurs."""
        doc, number = await self._redis.do("HMGET", keys.match(self._game, self._match), "doc", "roster")
        if doc is None:
            raise NotOurs("gone", "")
        return _stored_match.decode(doc), int(number or 0)

    async def ask(self, request: str, roster: int, left: list[str]) -> None:
        """Ask for players by this request, '' to ask no more. Raises Conflict where the match is not running."""
        reply = await self._redis.call(
            "backfill_ask", self._base, self._match, self._server, request, now_ms(), roster, orjson.dumps(left)
        )
        if reply[0] != "ok":
            raise Conflict(f"the match is {reply[1] or 'gone'}; only one that is RUNNING asks for players")

    async def _step(self, event: MatchEvent, reason: str, kept: bytes, look_at: int, tries: int) -> None:
        reply = await self._redis.call(
            "match_step", self._base, self._match, event, now_ms(), self._server, reason, kept, look_at, tries
        )
        found, state = reply[0], reply[1] if len(reply) > 1 else ""
        if found != "ok" and (found, state) != _REPEAT[event]:
            raise NotOurs(found, state)


async def until_answered(step: Callable[[], Awaitable[T]]) -> T:
    """Take a step again and again until Redis answers. The caller bounds it in time."""
    while True:
        try:
            return await step()
        except Unavailable:
            await asyncio.sleep(PAUSE_S)


def where(server: str) -> dict[str, Any]:
    """Where this process runs, for people. `server` is how its launcher calls it."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "server": server}
