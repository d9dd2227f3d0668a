"""Leaderboards and views of players, read as game servers write them."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from core import keys
from core.errors import NotFound
from core.redis.batch import Batch
from webapi.documents import Board, Entry, PlayerViews, Position, Rank
from webapi.store.accounts import Accounts


class Boards:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch, accounts: Accounts) -> None:
        self._batch = batch
        self._accounts = accounts

    async def ratings(self, game: str, mode: str, players: list[str]) -> list[str | None]:
        """The players' ratings as stored."""
        return list(await self._batch.do("HMGET", keys.ratings(game, mode), *players))

    async def board(self, game: str, board: str, key: str, *, top: int, player: str | None, around: int) -> Board:
        """The first `top` of a board, the rank of `player` and `around` neighbours on each side. Raises NotFound."""
        asked: list[tuple[str | int, ...]] = [
            ("EXISTS", keys.registration(game)),
            ("ZREVRANGE", key, 0, top - 1, "WITHSCORES") if top else ("ZREVRANGE", key, 1, 0, "WITHSCORES"),
        ]
        if player is not None:
            asked += [("ZREVRANK", key, player), ("ZSCORE", key, player)]
        exists, first, *own = await self._batch.do_many(asked)
        if not exists:
            raise NotFound(f"there is no game {game!r}", code="no-such-game")
        rank = int(own[0]) if own and own[0] is not None and own[1] is not None else None
        near: Any = []
        start = max(0, (rank or 0) - around)
        if rank is not None and around:
            near = await self._batch.do("ZREVRANGE", key, start, rank + around, "WITHSCORES")
        names = await self._accounts.names(list({member for member, _ in [*first, *near]}))
        return Board(
            board=board,
            entries=_entries(first, 0, names),
            player=UNSET if rank is None else Rank(rank + 1, float(own[1])),
            neighbours=_entries(near, start, names) if near else UNSET,
        )

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


def _entries(pairs: list[tuple[str, float]], start: int, names: dict[str, str]) -> list[Entry]:
    return [
        Entry(start + i + 1, member, names.get(member, ""), float(score)) for i, (member, score) in enumerate(pairs)
    ]
