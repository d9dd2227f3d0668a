"""Everything that the catalogue has, happening in a whole stack: matches, tickets, supply, presence, packs, logins."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any, Final, get_args

from core import keys
from core.cli.wires import Kind
from core.interactions import Action, Exchange, pack
from core.redis.batch import Batch
from core.redis.client import Database
from core.redis.logreader import LogReader
from core.sinks.ship import INSTALLATION
from tests.seat import Seat, settle
from tests.stack import ROOT, Refused, Stack, Ticket, Visit
from tests.support import eventually, patient_database
from webapi.audit import Audit, Name
from webapi.metrics import Metrics
from webapi.origin import Origin
from webapi.trail import Trail

GAMES: Final = ("duel", "asked", "broken", "village")
TANKS: Final = {
    "players_per_match": 2,
    "supply": {"warm": {"servers": 1}},
    # So small a place that a bot that shoots hits, once: the first kill ends it.
    "server": {
        "arena": {"width_m": 20, "height_m": 20, "walls": [], "shot_damage": 50, "score_limit": 1, "time_limit_s": 600}
    },
}
ASKED: Final = {
    "players_per_match": 2, "acceptance_timeout_s": 60, "server": {"arena": {}},
}  # fmt: skip
BROKEN: Final = {
    "players_per_match": 1,
    "limits": {"tries": 2},
    "server": {"command": [sys.executable, "-c", "raise SystemExit(7)"]},
}
PASSWORD: Final = "a long password"
SETTINGS: Final = {
    "MUSTER_COMMAND_MODULES": "examples.village.rules",
    "MUSTER_PRESENCE_INTERVAL_S": "1",
    "MUSTER_PRESENCE_TIMEOUT_S": "4",
    "MUSTER_PACK_S": "30",  # a handler that gets no processor for seconds has not failed
}


async def expected_by(db: Database, *names: str) -> None:
    """Readers of these names are there before anything happens: for them it is kept."""
    for game in (INSTALLATION, *GAMES):
        for name in names:
            await LogReader(db, game, name, facts=True, packs=True).register()


async def play(here: Visit) -> None:
    """A match from the queue to its end, on a server that stood ready; then no server stands ready any more."""
    await here.register({"id": "duel", **TANKS})

    async def ready() -> bool:
        found = await here.db.do("ZRANGE", f"{keys.game('duel')}:standbys", 0, -1)
        states = [await here.db.do("HGET", keys.standby("duel", it), "state") for it in found]
        return "Ready" in states

    await eventually(ready, within_s=120)
    wires: tuple[Kind, ...] = ("tcp", "ws")
    seats = [Seat(here, await here.post(await here.guest(), "duel"), wire) for wire in wires]
    ended = await settle([asyncio.create_task(seat.play()) for seat in seats])
    rows = [
        Action("a-1", 1_700_000_000_000, "p", "jump"),
        Exchange("x-1", 1_700_000_000_000, "p", "q", "e", "a:1", "b:1"),
    ]
    await here.db.do_many([_append(ended[0], rows)])
    await here.call("PUT", "/v1/games/duel", {**TANKS, "supply": {}}, token=await here.developer())

    async def none() -> bool:
        return not await here.db.do("ZCARD", f"{keys.game('duel')}:standbys")

    await eventually(none, within_s=60)


def _append(match: str, rows: list[Any]) -> Any:
    """What a program of the game's author writes with `core.api`, as a command."""
    from core.redis.client import function_call

    return function_call("log_append", keys.shard("duel", match), f"api-{match}", 1, len(rows), pack(rows), 1000)


async def answer(here: Visit, ticket: Ticket, *, accept: bool) -> None:
    """Answer for the player of a ticket."""
    await here.call("POST", f"{ticket.path}/acceptance", {"accept": accept}, token=ticket.player.token)


async def ask(here: Visit) -> None:
    """One accepts and the other does not; who accepted waits on until his time is over."""
    await here.register({"id": "asked", **ASKED})
    one, two = [await here.post(await here.guest(), "asked") for _ in range(2)]
    await here.wait(one, "REQUIRES_ACCEPTANCE", within_s=60)
    await answer(here, one, accept=True)
    await answer(here, two, accept=False)
    # Only now, so that nobody is too late to be asked.
    await here.call("PUT", "/v1/games/asked", {**ASKED, "ticket_timeout_s": 5}, token=await here.developer())
    await here.wait(one, "TIMED_OUT", within_s=60)


async def fail(here: Visit) -> None:
    """A server that dies at once, until the ticket is given up."""
    await here.register({"id": "broken", **BROKEN})
    await here.wait(await here.post(await here.guest(), "broken"), "FAILED", within_s=120)


async def come_and_go(here: Visit) -> None:
    """Heartbeats, and then none."""
    await eventually(lambda: _registered(here, "asked"))
    player = await here.guest()
    await here.call("POST", "/v1/heartbeat", {"game": "asked"}, token=player.token)

    async def offline() -> bool:
        feed = await here.db.do("XRANGE", f"{keys.game('asked')}:feed", "-", "+")
        return any(player.id in str(row) and "player_offline" in str(row) for row in feed)

    await eventually(offline, within_s=60)


async def _registered(here: Visit, game: str) -> bool:
    return bool(await here.db.do("SISMEMBER", keys.GAMES, game))


async def command(stack: Stack) -> None:
    """Packs of an honest client, then of one that cheats."""
    for arguments in (("--register", "--rounds", "3"), ("--rounds", "10", "--cheat")):
        client = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "examples" / "village" / "client.py"), "--url", stack.url, *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await client.communicate()
        assert client.returncode == 0, said.decode() + stack.logs()


async def log_in(here: Visit) -> None:
    """By the doors; and what they tell seldom, as they do."""
    who = {"name": "ada", "password": PASSWORD}
    await here.call("POST", "/v1/accounts", who)
    await here.call("POST", "/v1/login", who)
    with suppress(Refused):
        await here.once("POST", "/v1/login", {**who, "password": "not this one"})
    async with patient_database(here.stack.redis_url) as db:
        trail = Trail(Batch(db), lambda: None)
        audit = Audit(Metrics(), trail)
        for name in get_args(Name):
            audit.tell(name, Origin("192.0.2.1", "rest"), "bob", player="p-bob")

        async def written() -> bool:
            await trail.close()
            return trail.waiting == 0

        await eventually(written)


async def everything(stack: Stack) -> None:
    """All of it, at once."""
    async with stack.visit() as here, asyncio.TaskGroup() as group:
        await here.developer()  # one for all
        for scene in (play(here), ask(here), fail(here), come_and_go(here), command(stack), log_in(here)):
            group.create_task(scene)
