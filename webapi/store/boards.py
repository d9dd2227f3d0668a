"""Leaderboards and views of players, read as game servers write them."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from core import keys, leaderboard
from core.boards import BoardStore
from core.errors import NotFound
from core.redis.batch import Batch
from core.season import RUNNING_FIELDS, Running, Seasons, read_running
from webapi.board_documents import Board, Entry, Rank
from webapi.documents import PlayerViews, Position
from webapi.store.accounts import Accounts


class Boards:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch, accounts: Accounts) -> None:
        self._batch = batch
        self._accounts = accounts

    async def ratings(self, game: str, mode: str, players: list[str]) -> tuple[Running, list[str | None]]:
        """The running season, and the players' ratings as stored."""
        season, stored = await self._batch.do_many(
            [("HMGET", keys.seasons(game), *RUNNING_FIELDS), ("HMGET", keys.ratings(game, mode), *players)]
        )
        return read_running(season), list(stored)

    async def board(self, game: str, board: str, **what: Any) -> Board:
        """A page of a board; `what` as `core.boards.BoardStore.view` takes it. Raises NotFound, Invalid."""
        await self._registered(game)
        seen = await BoardStore(self._batch, game).view(board, **what)
        names = await self._accounts.names(list({entry.player for entry in [*seen.entries, *seen.neighbours]}))
        return Board(
            board=board,
            season=UNSET if board == "activity" else seen.season,
            entries=_entries(seen.entries, names),
            player=UNSET if seen.own is None else Rank(seen.own.rank, seen.own.score),
            neighbours=_entries(seen.neighbours, names) if seen.neighbours else UNSET,
        )

    async def seasons(self, game: str) -> Seasons:
        """The running season and those kept. Raises NotFound."""
        await self._registered(game)
        return await BoardStore(self._batch, game).seasons()

    async def end_season(self, game: str, season: int, carry: float, now_ms: int) -> Seasons:
        """End a season, once. Raises Conflict where it has not begun."""
        return await BoardStore(self._batch, game).end_season(season, carry=carry, now_ms=now_ms)

    async def _registered(self, game: str) -> None:
        if not await self._batch.do("EXISTS", keys.registration(game)):
            raise NotFound(f"there is no game {game!r}", code="no-such-game")

    async def views(self, game: str, player: str) -> PlayerViews:
        """What a game last wrote of a player. Raises NotFound where it wrote nothing that is still kept."""
        base = keys.shard(game, player)
        state, position, name = await self._batch.do_many(
            [
                ("HGETALL", f"{base}:player:{player}"),
                ("HGETALL", f"{base}:move:{player}"),
                ("HGET", keys.account(player), "name"),
            ]
        )
        if not state and not position:
            raise NotFound("this game knows nothing of this player", code="no-such-player")
        where = (
            Position(position["id"], float(position["lat"]), float(position["lon"]), position["at"])
            if position
            else UNSET
        )
        return PlayerViews(player, name or "", state, where)


def _entries(found: list[leaderboard.Entry], names: dict[str, str]) -> list[Entry]:
    return [Entry(it.rank, it.player, names.get(it.player, ""), it.score) for it in found]
