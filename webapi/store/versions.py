"""Versions of a game in Redis: those that are kept, the candidate that is tried, and what came of their matches."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec import Struct

from core import keys
from core.errors import NotFound
from core.model import Game, GameSpec
from core.redis.batch import Batch
from core.stored_versions import CANARY_FIELDS, as_mapping, read_canary
from core.versions import VERSIONS_KEPT, Canary, Outcomes, outcomes
from webapi.records import game_decoder
from webapi.store.games import Games, canary_tried, changed_meanwhile

AGAIN = ("newest", "over")  # fields beside the versions


class Over(Struct, frozen=True):
    """How the last canary ended."""

    version: int
    how: str
    why: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Kept:
    """All there is of a game's versions. `since`: outcomes from the canary's start on."""

    current: Game
    versions: list[Game]  # newest first
    outcomes: dict[int, Outcomes]
    canary: Canary | None
    since: dict[int, Outcomes]
    over: Over | None


class Versions:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch, games: Games) -> None:
        self._batch, self._games = batch, games

    async def kept(self, game: Game) -> Kept:
        """The versions of a game, and how they do."""
        base = keys.game(game.id)
        row, found, counted = await self._batch.do_many(
            [
                ("HMGET", f"{base}:canary", *CANARY_FIELDS),
                ("HGETALL", keys.versions(game.id)),
                ("HGETALL", f"{base}:outcomes"),
            ]
        )
        stored, counts, canary = as_mapping(found), as_mapping(counted), read_canary(row)
        versions = {int(name): game_decoder.decode(text) for name, text in stored.items() if name not in AGAIN}
        versions.setdefault(game.version, game)
        return Kept(
            game,
            [versions[number] for number in sorted(versions, reverse=True)],
            outcomes(counts),
            canary,
            outcomes(counts, canary.before) if canary else {},
            msgspec.json.decode(stored["over"], type=Over) if "over" in stored else None,
        )

    async def read(self, game: str, version: int) -> Game:
        """A version that is kept. Raises NotFound."""
        found = await self._batch.do("HGET", keys.versions(game), version)
        if found is not None:
            return game_decoder.decode(found)
        current = await self._games.read(game)
        if current.version == version:
            return current
        raise NotFound(
            f"version {version} of {game!r} is not kept: the last {VERSIONS_KEPT} are", code="no-such-version"
        )

    async def try_out(self, current: Game, spec: GameSpec, percent: float, now_ms: int) -> None:
        """Try a candidate on a share of new matches. Raises Conflict where one is tried, PreconditionFailed."""
        number = await self._games.next_version(current)
        candidate = Game(current.id, current.owner, number, current.created_ms, now_ms, spec)
        await self._share(current, msgspec.json.encode(candidate), percent, now_ms)

    async def change_share(self, current: Game, percent: float, now_ms: int) -> None:
        """Another share for the candidate that is tried. Raises NotFound, PreconditionFailed."""
        await self._share(current, b"", percent, now_ms)

    async def _share(self, current: Game, candidate: bytes, percent: float, now_ms: int) -> None:
        kind, number = await self._batch.call(
            "canary_put", keys.game(current.id), current.version, candidate, percent, VERSIONS_KEPT, now_ms
        )
        if kind == "stale":
            raise changed_meanwhile(current.id)
        if kind == "canary":
            raise canary_tried(number)
        if kind == "none":
            raise no_canary(current.id)

    async def end(self, game: Game, version: int, how: str, why: str, now_ms: int) -> str:
        """The candidate becomes current (`promoted`), or is tried no more (`aborted`). Returns how it ended, or had.

        Raises NotFound where that version is not tried.
        """
        kind, ended = await self._batch.call("canary_end", keys.game(game.id), version, how, why, now_ms)
        self._games.forget(game.id)
        if kind != "ok":
            raise no_canary(game.id)
        return str(ended)


def no_canary(game: str) -> NotFound:
    """Nothing is tried."""
    return NotFound(f"no version of {game!r} is tried as a canary", code="no-canary")
