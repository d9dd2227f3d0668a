"""Asks Redis who is near: every shard at once, and merges what they answer. `core.near` says how the index is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from core import keys
from core.errors import NotFound
from core.near import Near, check_question, nearest, questions
from core.redis.client import function_call


class Caller(Protocol):
    """What asking needs of a Redis client."""

    async def do(self, *command: str | bytes | int | float) -> Any: ...

    async def do_many(self, commands: Sequence[Sequence[str | bytes | int | float]]) -> list[Any]: ...


async def find_near(
    db: Caller, game: str, lat: float, lon: float, *, radius_m: float, top: int, but: str = ""
) -> list[Near]:
    """The nearest `top` players within `radius_m` of a place, `but` left out. Raises Invalid, Unavailable."""
    check_question(lat, lon, radius_m, top)
    asked = questions(lat, lon, radius_m, top + bool(but))
    calls = [function_call("near_find", base, *args) for base in keys.shards(game) for args in asked]
    answers = await db.do_many(calls)
    return nearest(lat, lon, radius_m, top, answers, but=but)


async def position_of(db: Caller, game: str, player: str) -> tuple[float, float]:
    """A player's latest position. Raises NotFound where there is none that is still kept."""
    lat, lon = await db.do("HMGET", f"{keys.shard(game, player)}:move:{player}", "lat", "lon")
    if lat is None or lon is None:
        raise NotFound("this player has no position, or none that is still kept", code="no-position")
    return float(lat), float(lon)
