"""What the sidecar offers beyond Agones' interface, under /muster/v1:

    GET /match      the match's id, game, region, and its players with their teams; `left`: those who left
    POST /backfill  ask for players in place of those who left; {"left": [player id, ...]} says who did
    DELETE /backfill  ask no more
    POST /report   how the players did (core.report); the answer says that it is kept, whatever dies next

Errors have the gateway's form, as in `rest`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import orjson

from core.errors import Invalid, MusterError, Unavailable
from gamepod.backfill import Backfill
from gamepod.roster import Roster
from gamepod.sdk.answers import (
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    NOT_FOUND,
    UNAVAILABLE,
    UNIMPLEMENTED,
    error,
    json_object,
)
from gamepod.transport.http_types import Request, Response

PREFIX: Final = "/muster/v1/"
METHODS: Final = {
    f"{PREFIX}match": ("GET",),
    f"{PREFIX}backfill": ("POST", "DELETE"),
    f"{PREFIX}report": ("POST",),
}
ANSWER_S: Final = 5.0  # for Redis to answer; a client library waits longer


class MusterRest:
    """Handler of the paths under `PREFIX`. Without `commands` it only tells: the built-in arena speaks for itself."""

    def __init__(
        self, roster: Roster, backfill: Backfill, report: Callable[[bytes], Awaitable[None]], *, commands: bool
    ) -> None:
        """`report` keeps what was reported."""
        self._roster, self._backfill, self._report, self._commands = roster, backfill, report, commands

    async def __call__(self, request: Request) -> Response:
        methods = METHODS.get(request.path)
        if methods is None:
            return error(NOT_FOUND, "Not Found")
        if request.method not in methods:
            return error(UNIMPLEMENTED, f"Method Not Allowed: {request.path} takes {' or '.join(methods)}")
        if request.method == "GET":
            return Response(body=orjson.dumps(self._match()))
        if not self._commands:
            return error(FAILED_PRECONDITION, "the built-in arena takes no commands")
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._command(request)
        except ValueError as wrong:
            return error(INVALID_ARGUMENT, str(wrong))
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
        body = json_object(request.body)
        if unknown := body.keys() - {"left"}:
            raise ValueError(f"{min(unknown)!r} is not a field of this; there is `left`")
        if "left" in body:
            self._roster.only_left(self._players(body["left"]))
        return Response(body=orjson.dumps({"request": await self._backfill.ask()}))

    def _players(self, told: object) -> list[str]:
        if not isinstance(told, list):
            raise ValueError("`left` is to be a list of player ids")
        for player in told:
            if not isinstance(player, str) or player not in self._roster.seats:
                raise ValueError(f"{str(player)[:64]!r} is no player of this match")
        return told

    def _match(self) -> dict[str, object]:
        match, roster = self._roster.match, self._roster
        return {
            "id": match.id,
            "game": match.game,
            "region": match.region,
            "players": [{"id": seat.id, "name": seat.name, "team": seat.team} for seat in roster.seats.values()],
            "left": roster.left,
        }
