"""A game's boards in Redis: pages, ranks and neighbours as of one moment, and its seasons. For every service.

All of a game's boards live in one slot, because a rank is a question over all of a game's players; other games' live in
others. What is read is read by one function, so a page, a rank and its neighbours agree with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from core import keys
from core.leaderboard import View, check_board, read_view
from core.redis.client import Arg
from core.season import SEASONS_KEPT, Seasons, check_end, check_ended, read_seasons


class Asked(Protocol):
    """What is needed of a client of Redis."""

    async def call(self, function: str, base: str, *args: Arg) -> Any: ...

    async def do(self, *command: Arg) -> Any: ...


class BoardStore:
    """See the module. Every method raises Unavailable."""

    def __init__(self, db: Asked, game: str) -> None:
        self._db, self._game, self._base = db, game, keys.boards(game)

    async def view(
        self,
        board: str,
        *,
        mode: str = "",
        season: int | None = None,
        first: int = 0,
        count: int = 0,
        player: str | None = None,
        around: int = 0,
    ) -> View:
        """`count` lines from place `first` (from 0), and where `player` stands, with `around` lines on each side.

        `season` None is the running one. Raises Invalid, and NotFound for a season that is not kept.
        """
        check_board(board, mode, season)
        name = f"{board}:{mode}" if mode else board
        reply = await self._db.call("board_read", self._base, season or "", name, first, count, player or "", around)
        return read_view(reply, board, player, season)

    async def seasons(self) -> Seasons:
        """The running season, and those kept."""
        return read_seasons(_pairs(await self._db.do("HGETALL", keys.seasons(self._game))))

    async def end_season(self, season: int, *, carry: float, now_ms: int) -> Seasons:
        """End a season; one that has ended already stays as it is. Raises Invalid, Conflict."""
        check_end(season, carry)
        check_ended(season, await self._db.call("season_end", self._base, season, now_ms, carry, SEASONS_KEPT))
        return await self.seasons()


def _pairs(found: Any) -> dict[str, str]:
    if isinstance(found, Sequence):
        return dict(zip(found[::2], found[1::2], strict=True))
    return dict(found)
