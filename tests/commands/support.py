"""A game with commands in a Redis, packs for it, and workers in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from core import keys, packstore
from core.addresses import networks
from core.clock import now_ms
from core.commandspec import CommandKind, CommandsSpec
from core.doorbell import open_doorbell
from core.model import Game, GameSpec, Server
from core.outbound import Outbound
from core.packs import Command, NewPack, check_pack
from core.redis.client import Database
from gamepod.worker import pythons as children
from gamepod.worker.calls import Calls
from gamepod.worker.loop import Worker
from gamepod.worker.metrics import Metrics
from gamepod.worker.pythons import Pythons
from gamepod.worker.settings import WorkerSettings

GAME = "village"
MODULE = "tests.commands.rules"
SECRET = "a secret of thirty-two bytes or so"
NAMES = ("crash", "leave", "hang", "die", "rubbish", "unwritable", "huge", "cheat")
KINDS = {
    "add": CommandKind({"n": "integer"}),
    "slow": CommandKind({"n": "integer"}),
    "buy": CommandKind(realtime=True),
    **{name: CommandKind() for name in NAMES},
}
SPEC = CommandsSpec(KINDS, python=MODULE, initial={"sum": 0})
# A handler that merely gets no processor for some seconds has not failed, nor has a worker lost its players by then:
# tests that are about these bounds say shorter ones.
BOUNDS = {"command_modules": MODULE, "poll_s": 0.1, "pack_s": 30.0, "handler_s": 30.0, "lease_s": 90.0}
LOAD_S = 60.0  # likewise, for a child to start
DRAINED_S = 120.0  # a child starts first, and once more where a command ended it


def pack(seq: int, *names: str, epoch: int = 0, balance: int = 0, at_ms: int | None = None, n: int = 1) -> NewPack:
    """A pack of these commands, `add` ones of `n`."""
    at_ms = now_ms() if at_ms is None else at_ms
    commands = [Command(name, at_ms, {"n": n} if name in ("add", "slow") else {}) for name in names or ("add",)]
    return NewPack(seq, epoch, balance, commands)


async def register(db: Database, spec: CommandsSpec = SPEC, game: str = GAME) -> None:
    """Put the game where services find it."""
    made = Game(game, "p-dev", 1, 1, 1, GameSpec(Server(arena={}), players_per_match=1, commands=spec))
    await db.do("SADD", keys.GAMES, game)
    await db.do("SET", keys.registration(game), msgspec.json.encode(made))


async def send(db: Database, player: str, new: NewPack, **options: Any) -> packstore.Accepted:
    """Check a pack and put it into its row, as webapi does."""
    text, realtime = check_pack(new, SPEC, now_ms())
    return await packstore.accept(db, GAME, player, new, text, realtime=realtime, **options)


async def look(db: Database, player: str, *, profile: bool = False) -> packstore.Look:
    return await packstore.look(db, GAME, player, profile=profile, initial=packstore.initial_text(SPEC))


async def take(db: Database, player: str, *, lease_s: float = 60, owner: str = "w") -> list[packstore.Taken]:
    """Take from the player's shard."""
    base = keys.shard(GAME, player)
    name, base, args = packstore.take_call(base, owner, lease_s, 32)
    return packstore.taken(base, await db.call(name, base, *args))


async def done(db: Database, work: packstore.Taken, ran: int, state: str, failure: Any = None) -> list[Any]:
    """Write what came of it."""
    name, base, args = packstore.done_call(work, ran, ran, state, now_ms(), failure)
    return list(await db.call(name, base, *args))


@asynccontextmanager
async def worker(
    db: Database, owner: str = "w", registry: CollectorRegistry | None = None, **settings: Any
) -> AsyncIterator[Worker]:
    """A worker that is not running: `turn` it, or `run` it."""
    chosen = WorkerSettings(**{**BOUNDS, **settings})
    outbound = Outbound(networks(chosen.handler_networks, "MUSTER_HANDLER_NETWORKS"))
    pythons = Pythons(chosen.pack_s, chosen.handler_memory_mib)
    async with open_doorbell(db) as bell:
        patched = pytest.MonkeyPatch()
        patched.setattr(children, "LOAD_S", LOAD_S)
        try:
            calls = Calls(outbound, chosen.handler_s)
            yield Worker(db, bell, chosen, SECRET, owner, calls, pythons, Metrics(registry or CollectorRegistry()))
        finally:
            patched.undo()
            await pythons.close()
            await outbound.close()


@asynccontextmanager
async def running(db: Database, owner: str = "w", **settings: Any) -> AsyncIterator[Worker]:
    """A worker at work."""
    stop = asyncio.Event()
    async with worker(db, owner, **settings) as made:
        task = asyncio.create_task(made.run(stop))
        try:
            yield made
        finally:
            stop.set()
            await task
