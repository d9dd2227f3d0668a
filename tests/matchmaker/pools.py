"""Games whose servers are there before their matches, and a matchmaker that a test stops where it wants to."""

from __future__ import annotations

from typing import Any

from core import keys
from core.clock import new_id, now_ms
from core.model import EarlySpec, Game, GameSpec, Match, Server, SupplySpec, Timers, WarmSpec
from core.redis.client import Database
from core.rules import rule_set
from matchmaker.leases import Leases
from matchmaker.matches import match_of
from matchmaker.mirror import Mirror
from matchmaker.rules import Pool, form
from matchmaker.standby_store import standby_document
from matchmaker.store import GameStore
from tests.matchmaker.support import match, queue, spec, status
from tests.support import eventually

GAMEPOD = {"MUSTER_SERVER_COMMAND": ""}  # real game servers
# Nobody joins these matches, which are to run until the test has seen all of them.
TIMERS = Timers(start_s=60, join_s=600, drain_s=1)


def pool(servers: int, **more: Any) -> GameSpec:
    """A duel in the arena with so many servers that stand ready."""
    return spec(server=Server(arena={}), timers=TIMERS, supply=SupplySpec(warm=WarmSpec(servers=servers)), **more)


def early(**more: Any) -> GameSpec:
    return spec(server=Server(arena={}), timers=TIMERS, supply=SupplySpec(early=EarlySpec(**more)))


async def standbys(db: Database, game: str, state: str) -> dict[str, dict[str, str]]:
    """Servers of the game in that state, by id; with Allocated and Shutdown also those that are not in the pool."""
    names = [str(name).rpartition(":")[2] for name in await db.do("KEYS", f"{keys.game(game)}:standby:*")]
    found = {name: dict(await db.do("HGETALL", keys.standby(game, name))) for name in names}
    return {name: fields for name, fields in found.items() if fields.get("state") == state}


async def so_many(db: Database, game: str, state: str, wanted: int) -> dict[str, dict[str, str]]:
    """The servers in that state, once there are as many."""

    async def there() -> list[dict[str, dict[str, str]]]:
        found = await standbys(db, game, state)
        return [found] if len(found) == wanted else []

    return (await eventually(there))[0]


async def spent(db: Database, game: str) -> dict[str, int]:
    return {name: int(n) for name, n in (await db.do("HGETALL", f"{keys.game(game)}:supply")).items()}


async def duel(db: Database, game: str = "duel") -> tuple[str, dict[str, str]]:
    """Two tickets, and the match that they are in, once it can be played."""
    one, _ = await queue(db, game), await queue(db, game)
    name = (await status(db, game, one, "COMPLETED"))["match"]
    return name, await match(db, game, name)


class ByHand:
    """A matchmaker that stops where the test wants it to: it holds the lease, and does one step after another."""

    def __init__(self, db: Database, store: GameStore, game: Game) -> None:
        self.db, self.store, self.game = db, store, game

    @classmethod
    async def take(cls, db: Database, game: str) -> ByHand:
        leases = Leases(db, "one that is killed", 3.0)
        await leases.turn([game])
        store = GameStore(db, game, leases.held[game].token)
        found = await store.registration()
        assert found is not None
        return cls(db, store, found)

    @classmethod
    async def take_when_free(cls, db: Database, game: str) -> ByHand:
        """The same, once the lease of a killed one has run out."""

        async def free() -> ByHand | None:
            try:
                return await cls.take(db, game)
            except KeyError:
                return None

        taken = await eventually(free)
        assert taken is not None
        return taken

    async def create(self) -> str:
        """Write that a server is to be started, and start none."""
        name = new_id("standby")
        assert await self.store.standbys.create(standby_document(self.game, name, now_ms()), "warm", 10, now_ms())
        return name

    async def claim(self) -> tuple[Match, str]:
        """Claim a match of the tickets that wait; what server it took."""
        made_of = Pool(rule_set(self.game.spec))
        mirror = Mirror(self.store, 10, made_of.add, made_of.remove)
        await mirror.read()
        [proposal] = form(made_of, made_of.rules, now_ms(), seed=1).proposals
        made = match_of(proposal, mirror, self.game, new_id("match"), now_ms())
        [claim], _ = await self.store.claim([made], [], now_ms=now_ms(), live_most=10)
        assert claim.made
        return made, claim.standby
