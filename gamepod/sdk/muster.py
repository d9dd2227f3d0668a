"""What the sidecar offers beyond Agones' interface, under /muster/v1:

    GET /match      the match: id, game and its version, region, timers, its players with their teams, who left
    GET /keys       public keys (JSON Web Key Set) that verify join tokens without asking anybody
    POST /verify    {"token": join token}: whose it is; 401 where he may not join
    POST /interactions  what players did (gamepod.sdk.interactions); the answer says that it is taken in
    POST /backfill  ask for players in place of those who left; {"left": [player id, ...]} says who did
    DELETE /backfill  ask no more
    POST /players  who joined, who lost the connection, who left for good: {"joined", "lost", "left": [player id, ...]}
    POST /report   how the players did (core.report); the answer says that it is kept, whatever dies next

Errors have the gateway's form, as in `rest`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import orjson

from core.clock import new_id, now_ms
from core.errors import Invalid, MusterError, Unauthorized, Unavailable
from core.jointoken import verify
from gamepod.backfill import Backfill
from gamepod.flush import Flusher
from gamepod.roster import Roster
from gamepod.sdk.answers import (
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    NOT_FOUND,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    UNKNOWN,
    CallRefused,
    error,
    json_object,
)
from gamepod.sdk.interactions import PER_S, Allowance, read_interactions
from gamepod.sdk.sdk import Sdk
from gamepod.transport.http_types import Request, Response

PREFIX: Final = "/muster/v1/"
METHODS: Final = {
    f"{PREFIX}match": ("GET",),
    f"{PREFIX}keys": ("GET",),
    f"{PREFIX}verify": ("POST",),
    f"{PREFIX}interactions": ("POST",),
    f"{PREFIX}backfill": ("POST", "DELETE"),
    f"{PREFIX}players": ("POST",),
    f"{PREFIX}report": ("POST",),
}
ANSWER_S: Final = 5.0  # for Redis to answer; a client library waits longer


class MusterRest:
    """Handler of the paths under `PREFIX`. To the built-in arena it only tells: that speaks for itself."""

    def __init__(
        self,
        roster: Roster,
        backfill: Backfill,
        report: Callable[[bytes], Awaitable[None]],
        flusher: Flusher,
        join_key: str,
        join_jwks: str,
        playing: Callable[[], bool],
        sdk: Sdk,
    ) -> None:
        """`report` keeps what was reported; `join_key` verifies the match's tokens, as do the public keys `join_jwks`;
        `playing`: begun, and not over.
        """
        self._roster, self._backfill, self._report, self._sdk = roster, backfill, report, sdk
        self._flusher, self._join_key, self._playing = flusher, join_key, playing
        self._join_jwks = join_jwks or '{"keys": []}'
        self._allowance = Allowance(time.monotonic())
        writer = new_id("session")
        self._ids = (f"{writer}-{number}" for number in itertools.count(1))

    async def __call__(self, request: Request) -> Response:
        methods = METHODS.get(request.path)
        if methods is None:
            return error(NOT_FOUND, "Not Found")
        if request.method not in methods:
            return error(UNIMPLEMENTED, f"Method Not Allowed: {request.path} takes {' or '.join(methods)}")
        if request.path == f"{PREFIX}keys":
            return Response(body=self._join_jwks.encode())
        if request.method == "GET":
            return Response(body=orjson.dumps(self._match()))
        if not self._sdk.commands:
            return error(FAILED_PRECONDITION, "the built-in arena takes no commands")
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._command(request)
        except ValueError as wrong:
            return error(INVALID_ARGUMENT, str(wrong))
        except CallRefused as refused:
            return error(refused.kind, refused.message)
        except Unauthorized as wrong:
            return error(UNAUTHENTICATED, wrong.detail)
        except Invalid as wrong:
            return error(INVALID_ARGUMENT, f"{wrong.pointer} {wrong.detail}".lstrip())
        except (Unavailable, TimeoutError):
            return error(UNAVAILABLE, "Redis does not answer: ask again")
        except MusterError as wrong:
            return error(FAILED_PRECONDITION, wrong.detail)

    async def _command(self, request: Request) -> Response:
        if request.method == "DELETE":
            await self._backfill.stop()
            return Response(body=b"{}")
        if request.path == f"{PREFIX}report":
            # Written anew: what is kept is whole JSON in UTF-8, whoever reads it.
            await self._report(orjson.dumps(orjson.loads(request.body)))
            return Response(body=b"{}")
        if request.path == f"{PREFIX}interactions":
            return self._interactions(request.body)
        body = json_object(request.body)
        if request.path == f"{PREFIX}verify":
            return Response(body=orjson.dumps(self._verify(body.get("token"))))
        players = request.path == f"{PREFIX}players"
        fields = ("joined", "lost", "left") if players else ("left",)
        if unknown := body.keys() - set(fields):
            raise ValueError(f"{min(unknown)!r} is not a field of this; there is {', '.join(fields)}")
        if players:
            self._moved(*(self._players(body.get(field, [])) for field in fields))
            return Response(body=b"{}")
        if "left" in body:
            self._roster.only_left(self._players(body["left"]))
        return Response(body=orjson.dumps({"request": await self._backfill.ask()}))

    def _moved(self, joined: list[str], lost: list[str], left: list[str]) -> None:
        """Who is there, as the SDK's players are. Raises CallRefused where there is no room, and changes nothing."""
        players = self._sdk.changing().players
        after = {**players.ids, **dict.fromkeys(joined)}
        for player in (*lost, *left):
            after.pop(player, None)
        if len(after) > max(players.capacity, len(players.ids)):
            raise CallRefused(UNKNOWN, f"players are already at capacity: {players.capacity}")
        players.joins += sum(player not in players.ids for player in joined)
        players.ids = after
        for player in joined:
            self._roster.came(player)
        for player in left:
            self._roster.went(player)
        self._sdk.changed()

    def _interactions(self, body: bytes) -> Response:
        if not self._playing():
            return error(FAILED_PRECONDITION, "the match has not begun, or is over: nothing happens in it")
        found = read_interactions(body, self._roster.seats, now_ms(), self._ids)
        if not self._allowance.take(len(found), time.monotonic()):
            return error(RESOURCE_EXHAUSTED, f"a match may have {PER_S} interactions a second: send later, or fewer")
        dropped = self._flusher.backlog.dropped
        self._flusher.add(found)
        if kept := len(found) - (self._flusher.backlog.dropped - dropped):
            return Response(body=orjson.dumps({"accepted": kept}))
        return error(
            UNAVAILABLE, "Redis is away and the buffer is full: what happened is lost unless you send it again"
        )

    def _verify(self, token: object) -> dict[str, object]:
        if not isinstance(token, str):
            raise ValueError("`token` is to be a join token")
        match = self._roster.match
        claims = verify(self._join_key, token, match.id, time.time())
        if not self._roster.may_join(claims.player):
            raise Unauthorized(f"the seat of {claims.player!r} is another's now")
        return {"player": claims.player, "name": claims.name, "team": claims.team, "expires_s": claims.expires_s}

    def _players(self, told: object) -> list[str]:
        if not isinstance(told, list):
            raise ValueError("these are to be lists of player ids")
        for player in told:
            if not isinstance(player, str) or player not in self._roster.seats:
                raise ValueError(f"{str(player)[:64]!r} is no player of this match")
        return told

    def _match(self) -> dict[str, object]:
        match, roster = self._roster.match, self._roster
        return {
            "id": match.id,
            "game": match.game,
            "version": match.game_version,
            "region": match.region,
            "timers": msgspec.to_builtins(match.timers),
            "players": [{"id": seat.id, "name": seat.name, "team": seat.team} for seat in roster.seats.values()],
            "left": roster.left,
        }
