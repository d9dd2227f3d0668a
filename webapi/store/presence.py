"""Presence as it is asked for: who is online, how long somebody played, and whether he may go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from core import keys
from core.errors import TooMany
from core.model import Game, TicketPlayer
from core.playtime import Playing, judge, sentence
from core.presence import Session, member, played
from core.redis.batch import Batch

_session: Final = msgspec.json.Decoder(Session)


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a player in a game. `running` is the session that goes on; `days` are ms by day, it included."""

    running: Session | None
    limited: bool
    days: Mapping[int, int]
    sessions: list[Session]


class Presence:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def online(self, games: Sequence[str]) -> dict[str, int]:
        """Players online by game."""
        shards = range(keys.PRESENCE_SHARDS)
        if not games:
            return {}
        rows = await self._batch.do_many([("HMGET", f"{keys.presence(it)}:online", *games) for it in shards])
        return {game: sum(int(row[i] or 0) for row in rows) for i, game in enumerate(games)}

    async def read(self, game: Game, player: str) -> Record:
        """All of one player in one game."""
        return (await self._read(game, [player]))[0]

    async def limit(self, game: str, player: str, *, limited: bool) -> None:
        """The game's limits apply to this player, or do not, where they apply to listed players only."""
        base = keys.presence(keys.presence_number(player))
        await self._batch.do("SADD" if limited else "SREM", f"{base}:limited", member(game, player))

    async def playing(self, game: Game, player: str, now_ms: int) -> Playing | None:
        """What the game's limits mean for a player now; None where none apply."""
        return playing(game, await self.read(game, player), now_ms) if game.spec.play is not None else None

    async def admit(self, game: Game, players: Sequence[TicketPlayer], asker: str, now_ms: int) -> None:
        """Raises TooMany where one of the players may not play now; `asker` is told of himself as "you"."""
        if game.spec.play is None:
            return
        for player, record in zip(players, await self._read(game, [it.id for it in players]), strict=True):
            found = playing(game, record, now_ms)
            if found is not None and not found.allowed:
                who = "" if player.id == asker else player.name or player.id
                raise TooMany(
                    sentence(game.spec.play, found.why, who), retry_after_s=found.retry_after_s, code="play-limit"
                )

    async def _read(self, game: Game, players: Sequence[str]) -> list[Record]:
        commands: list[tuple[str, ...]] = []
        for player in players:
            base, name = keys.presence(keys.presence_number(player)), member(game.id, player)
            commands += [
                ("ZSCORE", f"{base}:heard", name),
                ("HGET", f"{base}:since", name),
                ("SISMEMBER", f"{base}:limited", name),
                ("HGETALL", f"{base}:days:{player}"),
                ("LRANGE", f"{base}:sessions:{player}", "0", "-1"),
            ]
        found = await self._batch.do_many(commands)
        return [_record(game, *found[i : i + 5]) for i in range(0, len(found), 5)]


def playing(game: Game, record: Record, now_ms: int) -> Playing | None:
    """What the game's limits mean for a player; None where none apply to him."""
    spec = game.spec.play
    if spec is None or (spec.applies_to == "listed" and not record.limited):
        return None
    return judge(spec, record.days, now_ms)


def _record(game: Game, heard: Any, since: Any, limited: Any, days: Mapping[str, str], texts: list[str]) -> Record:
    running = Session(game.id, int(since), int(float(heard))) if heard is not None and since is not None else None
    offset = game.spec.play.utc_offset_min if game.spec.play is not None else 0
    stored = {}
    for field, ms in days.items():
        name, _, day = field.rpartition("/")
        if name == game.id:
            stored[int(day)] = int(ms)
    sessions = [it for it in map(_session.decode, texts) if it.game == game.id]
    return Record(running, bool(limited), played(stored, running, offset), sessions)
