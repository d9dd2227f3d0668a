"""Which games have delayed commands, who executes them, and by which balances: as of a few seconds ago."""

from __future__ import annotations

import time
from typing import Final

import msgspec
from msgspec import Struct

from core import keys
from core.commandspec import CommandsSpec
from core.packs import balance_versions
from core.redis.client import Database

EVERY_S: Final = 3.0  # all registrations are read again
BALANCE_S: Final = 1.0  # a balance is read again
PAGE: Final = 256  # registrations read in one round trip


class _Spec(Struct, frozen=True):
    commands: CommandsSpec | None = None


class _Game(Struct, frozen=True):
    id: str
    spec: _Spec


_read: Final = msgspec.json.Decoder(_Game)


class Games:
    """See the module. Every method raises Unavailable."""

    def __init__(self, db: Database, modules: frozenset[str]) -> None:
        self._db, self._modules = db, modules
        self._read_at = float("-inf")
        self._specs: dict[str, CommandsSpec] = {}
        self._balances: dict[str, tuple[float, dict[int, str]]] = {}

    async def every(self) -> list[str]:
        """Ids of the games whose commands this worker executes."""
        if time.monotonic() - self._read_at >= EVERY_S:
            ids = sorted(await self._db.do("SMEMBERS", keys.GAMES))
            specs: dict[str, CommandsSpec] = {}
            for i in range(0, len(ids), PAGE):
                found = await self._db.do_many([("GET", keys.registration(game)) for game in ids[i : i + PAGE]])
                specs.update({game.id: spec for text in found if text for game, spec in self._ours(text)})
            self._specs, self._read_at = specs, time.monotonic()
        return list(self._specs)

    async def spec(self, game: str) -> CommandsSpec | None:
        """Who executes a game's commands; None where that is not us."""
        if game not in self._specs:
            text = await self._db.do("GET", keys.registration(game))
            self._specs.update({found.id: spec for found, spec in self._ours(text or "{}")})
        return self._specs.get(game)

    async def balances(self, game: str) -> dict[int, str]:
        """Balance documents of a game by version: those that packs may still need."""
        known = self._balances.get(game)
        if known is None or time.monotonic() - known[0] >= BALANCE_S:
            # Packs were let in by the grace of the moment; they may wait on past it.
            found = balance_versions(await self._db.do("HGETALL", keys.balance(game)), 0)[1]
            known = (time.monotonic(), found)
            self._balances[game] = known
        return known[1]

    def forget_balances(self, game: str) -> None:
        """Read them again the next time."""
        self._balances.pop(game, None)

    def _ours(self, text: str) -> list[tuple[_Game, CommandsSpec]]:
        try:
            game = _read.decode(text)
        except msgspec.DecodeError:
            return []  # of a later Muster, or none
        spec = game.spec.commands
        ours = spec is not None and (spec.python is None or spec.python in self._modules)
        return [(game, spec)] if spec is not None and ours else []
