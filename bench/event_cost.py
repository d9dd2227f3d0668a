"""What Redis does more for a match, an interaction or a pack where events are carried away: blocks of each, in turns.

In a block with a carrier its readers are registered, so that steps tell what they decided; and a carrier with a broker
that takes everything at once has read all of it before the block is over. The CPU time of Redis is counted, and of many
blocks the least counts: neighbours can only add to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CollectorRegistry

from core import keys, packstore
from core.clock import now_ms
from core.interactions import Attack, Interaction, Move, pack
from core.packs import digest
from core.redis.client import Database
from core.redis.logreader import LogReader
from core.sinks.catalogue import Message
from core.sinks.kafka import Kafka
from core.sinks.metrics import Metrics
from core.sinks.ship import Shipper

GAME: Final = "events"
BASE: Final = keys.game(GAME)
MATCHES: Final = 250  # of a block, two players each
BATCHES: Final = 20  # of a block
ROWS: Final = 500  # interactions of a batch
PACKS: Final = 1000  # of a block
COMMANDS: Final = 20  # of a pack
Calls = list[tuple[str, str, Sequence[Any]]]


class Nowhere:
    """A broker that takes everything at once."""

    name, most = "kafka", Kafka.most

    def __init__(self) -> None:
        self.count = 0

    async def open(self) -> None:
        """There at once."""

    async def send(self, messages: Sequence[Message]) -> None:
        self.count += len(messages)

    async def close(self) -> None:
        """Nothing is held."""


def rows(match: str, first: int, count: int) -> list[Interaction]:
    """Moves of fifty players, and each tenth an attack."""
    at_ms = now_ms()
    return [
        Attack(f"{match}-{n}", at_ms, f"p{n % 50}", f"p{n % 49}", 5.0) if n % 10 == 0
        else Move(f"{match}-{n}", at_ms, f"p{n % 50}", 48.2, 16.3)
        for n in range(first, first + count)
    ]  # fmt: skip


@dataclass
class Blocks:
    """Makes blocks, and has the least µs of Redis per thing in them, by what it is and whether events are carried."""

    db: Database
    outlet: Nowhere = field(default_factory=Nowhere)
    least: dict[tuple[str, bool], float] = field(default_factory=dict)
    _number: int = 0
    _shipper: Shipper | None = None

    async def begin(self) -> None:
        """An empty Redis with a game."""
        await self.db.do("FLUSHALL")
        await self.db.do("SADD", keys.GAMES, GAME)
        spec = {"accepting": True, "commands": {"kinds": {}}}
        await self.db.do("SET", keys.registration(GAME), json.dumps({"version": 1, "spec": spec}))
        self._shipper = Shipper(self.db, self.outlet, "bench", 60.0, Metrics(CollectorRegistry()), packs=True)

    async def turn(self, what: str, *, carried: bool) -> None:
        """One block."""
        self._number += 1
        make: dict[str, tuple[Callable[[], Any], int]] = {
            "ticket": (self._matches, 2 * MATCHES),
            "interaction": (self._interactions, BATCHES * ROWS),
            "pack": (self._packs, PACKS),
        }
        assert self._shipper is not None
        reader = LogReader(self.db, GAME, "kafka", facts=True, packs=True)
        await reader.leave()
        await self.db.do_many([("UNLINK", f"{base}:log") for base in reader._bases()])  # nothing of other blocks
        self._shipper._readers.clear()
        self._shipper._looked_s = float("-inf")
        if carried:
            await self._shipper.turn()  # registers
        work, count = make[what]
        before = await self._us()
        await work()
        if carried:
            await self._through()
        spent = (await self._us() - before) / count
        self.least[what, carried] = min(spent, self.least.get((what, carried), spent))

    async def _through(self) -> None:
        """Until two rounds found nothing: what is too young for the first is in the second."""
        assert self._shipper is not None
        import asyncio

        await asyncio.sleep(0.15)
        while await self._shipper.turn():
            pass

    async def _us(self) -> float:
        used = await self.db.do("INFO", "cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"]) * 1e6

    async def _matches(self) -> None:
        """From tickets to the end of each match, by the functions that webapi, matchmaker and server call."""
        now, block = now_ms(), self._number
        token = int((await self.db.call("lease_take", BASE, "bench", 600_000, 0))[0])
        steps: list[Calls] = [[], [], [], []]
        for n in range(MATCHES):
            match, seats = f"m-{block}-{n}", []
            for side in (0, 1):
                ticket, player = f"t-{block}-{n}-{side}", f"p-{block}-{n}-{side}"
                doc = json.dumps([{"id": player, "name": "a player"}])
                steps[0].append(("ticket_create", BASE, (ticket, now, 100_000, doc, "", player)))
                seats.append({"id": player, "name": "a player", "team": "players", "ticket": ticket})
            doc = json.dumps({"id": match, "players": seats, "game_version": 1})
            tickets = [seat["ticket"] for seat in seats]
            steps[1].append(("match_claim", BASE, (token, now, now + 60_000, 100_000, match, doc, *tickets)))
            steps[2].append(("server_attach", BASE, (match, f"s-{match}", now, "{}")))
            ready = (match, "ready", now, f"s-{match}", "", '{"address": "a"}', now + 60_000, 3)
            steps[2].append(("match_step", BASE, ready))
            over = (match, "finish", now, f"s-{match}", "finished", "{}", now + 60_000, 3)
            steps[3].append(("match_step", BASE, over))
        for calls in steps:
            for reply in await self.db.call_many(calls):
                assert reply[0] == "ok", reply

    async def _interactions(self) -> None:
        calls: Calls = []
        for n in range(BATCHES):
            match = f"m-{self._number}-{n}"
            payload = pack(rows(match, 0, ROWS))
            calls.append(("log_append", keys.shard(GAME, match), (match, 1, ROWS, payload, 10_000)))
        for call in calls:
            await self.db.call(call[0], call[1], *call[2])

    async def _packs(self) -> None:
        """Accepted by webapi, taken and done by a worker."""
        now, taken = now_ms(), []
        text = json.dumps([1, 1, [["collect", now, {"cell": 1}]] * COMMANDS]).encode()
        accept: Calls = []
        for n in range(PACKS):
            player = f"p-{self._number}-{n}"
            args = (player, 1, 0, now, now, 0, digest(text, 0), 32, COMMANDS, text)
            accept.append(("pack_accept", keys.shard(GAME, player), args))
        await self.db.call_many(accept)
        for base in keys.shards(GAME):
            call = packstore.take_call(base, "bench", 60, PACKS)
            taken += packstore.taken(base, await self.db.call(call[0], call[1], *call[2]))
        done = [packstore.done_call(one, 1, COMMANDS, '{"coins": 60}', now, None) for one in taken]
        await self.db.call_many([(name, base, args) for name, base, args in done])
