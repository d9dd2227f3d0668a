"""Servers of one game that have no match yet, in Redis. Each write is one Redis function, fenced by the lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import msgspec

from core import keys
from core.lifecycle import StandbyState
from core.model import Game, Match
from core.redis.client import Database
from core.supply import TOLD_MS, Told
from matchmaker.supply import IDLE_MOST_S, Kind, Standby

FIELDS: Final = ("state", "kind", "version", "created_ms", "ready_ms", "beat_ms", "keys", "server")
DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What supply came to since the game began: matches by the server they got, idle ms of servers, wrong guesses."""

    early: int = 0
    warm: int = 0
    cold: int = 0
    idle_early_ms: int = 0
    idle_warm_ms: int = 0
    unused_early: int = 0
    unused_warm: int = 0

    @property
    def matches(self) -> int:
        return self.early + self.warm + self.cold


class StandbyStore:
    """See the module. All calls raise Unavailable; the writes Fenced, and each may be repeated as it was."""

    def __init__(self, db: Database, game: str, token: int) -> None:
        self._db, self._game, self._token = db, game, token
        self._base = keys.game(game)

    async def all(self) -> dict[str, tuple[Standby, str]]:
        """Those that have no match, with the process that is there ('' for none yet)."""
        ids = list(await self._db.do("ZRANGE", f"{self._base}:standbys", 0, -1))
        rows = await self._db.do_many([("HMGET", keys.standby(self._game, it), *FIELDS) for it in ids]) if ids else []
        found: dict[str, tuple[Standby, str]] = {}
        for it, (state, kind, version, created, ready, beat, known, server) in zip(ids, rows, strict=True):
            if state in (StandbyState.STARTING, StandbyState.READY):
                numbers = (int(version), int(created), int(ready or 0), int(beat or 0))
                found[it] = Standby(it, StandbyState(state), cast(Kind, kind), *numbers, keys=known or ""), server or ""
        return found

    async def create(self, document: Match, kind: Kind, most: int, now_ms: int, known: str = "") -> bool:
        """Write that this server is to be started, with the keys that it will know. False where there are enough."""
        text = msgspec.json.encode(document)
        args = (self._token, now_ms, document.id, document.game_version, kind, most, text, known)
        return bool((await self._db.call("standby_create", self._base, *args))[0] == "ok")

    async def end(self, standby: str, reason: str, detail: str, now_ms: int) -> bool:
        """It is to end. False where it became a match's: then it must not be touched."""
        reply = await self._db.call("standby_end", self._base, standby, "", now_ms, reason, detail, self._token)
        return bool(reply[0] != "allocated")

    async def ended(self, standbys: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Of these, the ones that ended without a match: reason and detail."""
        commands = [("HMGET", keys.standby(self._game, it), "reason", "detail") for it in standbys]
        rows = await self._db.do_many(commands) if commands else []
        return {it: (reason, detail or "") for it, (reason, detail) in zip(standbys, rows, strict=True) if reason}

    async def allocate(self, match: str, now_ms: int) -> str:
        """The server that this match took, '' where it must have one of its own."""
        reply = await self._db.call("standby_allocate", self._base, self._token, now_ms, match)
        return str(reply[1]) if reply[0] == "ok" else ""

    async def spent(self) -> Spent:
        found = {name: int(n) for name, n in (await self._db.do("HGETALL", f"{self._base}:supply")).items()}
        return Spent(
            found.get("used_early", 0),
            found.get("used_warm", 0),
            found.get("cold", 0),
            found.get("idle_early_ms", 0),
            found.get("idle_warm_ms", 0),
            found.get("unused_early", 0),
            found.get("unused_warm", 0),
        )

    async def tell(self, told: Told) -> None:
        """Tell who asks what stands ready and why."""
        await self._db.do("SET", f"{self._base}:plan", msgspec.json.encode(told), "PX", TOLD_MS)


def standby_document(game: Game, name: str, now_ms: int) -> Match:
    """What a launcher starts before there is a match: a match without players under the server's name.

    Its start may take an hour more: it may wait so long for its match, and a pod has a deadline from these timers.
    """
    spec = game.spec
    timers = msgspec.structs.replace(spec.timers, start_s=min(DAY_S, spec.timers.start_s + IDLE_MOST_S))
    return Match(
        id=name,
        game=game.id,
        game_version=game.version,
        created_ms=now_ms,
        players=[],
        server=spec.server,
        timers=timers,
        tries=spec.limits.tries,
        move_ttl_s=spec.move_ttl_s,
        near=spec.near,
        owner=game.owner,
    )


def named(match: Match, standby: str) -> Match:
    """What a launcher starts for a match whose server has a name of its own."""
    return msgspec.structs.replace(match, id=standby, players=[])
