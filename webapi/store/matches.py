"""Matches in Redis, as players, owners and pages may see them; and their requests for players."""

from __future__ import annotations

from typing import Final

from core import keys
from core.errors import Conflict, NotFound
from core.lifecycle import MatchState
from core.redis.batch import Batch
from webapi.documents import MatchDocument
from webapi.records import Joining, is_arena, joining, match_document

ENDED_BY_OPERATOR: Final = "ended_by_operator"
LISTED_MOST: Final = 100  # live ones, and as many that were over


class Matches:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def read(self, game: str, match: str) -> MatchDocument:
        """A match. Raises NotFound."""
        found = await self._batch.do("HGETALL", keys.match(game, match))
        if "doc" not in found:
            raise NotFound("there is no such match", code="no-such-match")
        return match_document(found)

    async def way_in(self, game: str, match: str, player: str) -> tuple[Joining, bool] | None:
        """How `player` joins, and whether it is an arena; None where he has no seat, or nobody can join."""
        found = await self._batch.do("HMGET", keys.match(game, match), "state", "connection", "doc", "standby")
        how = joining(match, found, player)
        return None if how is None else (how, is_arena(found[2]))

    async def server_name(self, game: str, match: str) -> str:
        """What the join key of a match is made of, where its server was there before it; '' for the match's id."""
        return await self._batch.do("HGET", keys.match(game, match), "standby") or ""

    async def ask(self, game: str, match: str, request: str, now_ms: int) -> None:
        """Ask for players by this request, '' to ask no more.

        Raises NotFound, and Conflict where the match is not running.
        """
        reply = await self._batch.call("backfill_ask", keys.game(game), match, "", request, now_ms)
        if reply[0] == "gone":
            raise NotFound("there is no such match", code="no-such-match")
        if reply[0] != "ok":
            raise Conflict(f"the match is {reply[1]}; only one that is RUNNING asks for players", code="not-running")

    async def end(self, game: str, match: str, now_ms: int) -> None:
        """End a running match as if it had come to its end; its server goes, its tickets are not put back.

        Ended before is fine. Raises NotFound, and Conflict where it is not running.
        """
        reply = await self._batch.call(
            "match_step", keys.game(game), match, "finish", now_ms, "", ENDED_BY_OPERATOR, "", 0, 0
        )
        if reply[0] == "gone":
            raise NotFound("there is no such match", code="no-such-match")
        if reply[0] != "ok" and reply[1] != MatchState.ENDED:
            raise Conflict(f"the match is {reply[1]}; only one that is RUNNING can be ended", code="not-running")

    async def of_game(self, game: str) -> list[MatchDocument]:
        """Live matches, then the latest that were over. Raises NotFound where there is no such game."""
        base = keys.game(game)
        exists, live, recent = await self._batch.do_many(
            [
                ("EXISTS", keys.registration(game)),
                ("ZRANGE", f"{base}:live", 0, LISTED_MOST - 1),
                ("LRANGE", f"{base}:recent", 0, LISTED_MOST - 1),
            ]
        )
        if not exists:
            raise NotFound(f"there is no game {game!r}", code="no-such-game")
        ids = list(dict.fromkeys([*live, *recent]))
        found = await self._batch.do_many([("HGETALL", keys.match(game, match)) for match in ids])
        return [match_document(fields) for fields in found if "doc" in fields]
