"""Players are asked before a server starts, by real matchmakers, which are killed meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from core import keys
from core.clock import now_ms
from core.model import Limits
from core.redis.client import Database
from tests.matchmaker.support import SOON, Matchmakers, match, over, queue, register, spec, status, ticket
from tests.support import eventually

ASKED = "REQUIRES_ACCEPTANCE"
ASK_S = 60
NOBODY_LIVES = {"MUSTER_BEAT_TIMEOUT_S": "2"}  # no server runs that could be late: those who are asked are judged early


async def answer(db: Database, game: str, name: str, *, accept: bool = True) -> Any:
    """All players of a ticket accept, or its first one rejects."""
    players = [player["id"] for player in json.loads((await ticket(db, game, name))["doc"])]
    if not accept:
        return await db.call("ticket_end", keys.game(game), name, "rejected", now_ms(), "rejected", players[0], "")
    return [await db.call("ticket_accept", keys.game(game), name, player, now_ms(), "") for player in players][-1]


async def asked_pair(db: Database, stack: Matchmakers, **changes: Any) -> tuple[str, str, str]:
    """Two tickets that a running matchmaker has asked, one of them a party of two; and their match."""
    await register(db, "duel", spec(players_per_match=3, acceptance_timeout_s=ASK_S, **changes))
    one, two = await queue(db, "duel", waited_s=5), await queue(db, "duel", players=2)
    asked = await status(db, "duel", one, ASKED)
    assert (await status(db, "duel", two, ASKED))["match"] == asked["match"]
    return one, two, asked["match"]


async def time_is_over(db: Database, name: str) -> None:
    """So long ago the players of the match were asked that the time to answer is over now."""
    found = await match(db, "duel", name)
    assert int(found["accept_until_ms"]) == int(found["created_ms"]) + ASK_S * 1000
    await db.do("HSET", keys.match("duel", name), "accept_until_ms", now_ms())


async def test_all_accept(db: Database, stack: Matchmakers) -> None:
    """No server runs while the players are asked; once all accepted it starts, and the tickets are COMPLETED."""
    stack.start()
    one, two, made = await asked_pair(db, stack)
    await answer(db, "duel", one)
    assert stack.servers() == []
    await answer(db, "duel", two)
    for name in (one, two):
        assert (await status(db, "duel", name, "COMPLETED"))["match"] == made


async def test_one_rejects(db: Database, stack: Matchmakers) -> None:
    """The rejecting ticket is over; the other searches on with its wait and is asked again with the next one."""
    stack.start()
    one, two, made = await asked_pair(db, stack)
    since = (await ticket(db, "duel", one))["since_ms"]
    await answer(db, "duel", two, accept=False)
    assert (await over(db, "duel", made))["reason"] == "rejected"
    three = await queue(db, "duel", players=2)
    again = await status(db, "duel", three, ASKED)
    waiting = await ticket(db, "duel", one)
    assert (waiting["state"], waiting["match"], waiting["since_ms"], waiting["tries"]) == (
        ASKED, again["match"], since, "0",
    )  # fmt: skip
    await answer(db, "duel", one)
    await answer(db, "duel", three)
    await status(db, "duel", one, "COMPLETED")


async def test_one_is_silent(db: Database, stack: Matchmakers) -> None:
    """When the time is over the silent ticket is CANCELLED and says why; who accepted searches on."""
    stack.start(**NOBODY_LIVES)
    one, two, made = await asked_pair(db, stack)
    await answer(db, "duel", one)
    await time_is_over(db, made)
    assert (await status(db, "duel", two, "CANCELLED"))["reason"] == "acceptance_timed_out"
    assert (await over(db, "duel", made))["reason"] == "acceptance_timed_out"
    assert (await status(db, "duel", one, "SEARCHING"))["tries"] == "0"
    assert stack.servers() == []


@pytest.mark.parametrize("accept", [True, False])
async def test_a_matchmaker_killed_while_it_asks(db: Database, stack: Matchmakers, accept: bool) -> None:
    """Answers count while no matchmaker runs; the next one starts the server, or gives up whom nobody answered."""
    first = stack.start()
    one, two, made = await asked_pair(db, stack)
    first.kill()
    first.wait()
    await answer(db, "duel", one)
    if accept:
        await answer(db, "duel", two)
    else:
        await time_is_over(db, made)
    stack.start(**({} if accept else NOBODY_LIVES))
    if accept:
        assert (await status(db, "duel", two, "COMPLETED"))["match"] == made
    else:
        assert (await status(db, "duel", two, "CANCELLED"))["reason"] == "acceptance_timed_out"
        await status(db, "duel", one, "SEARCHING")


async def test_a_cancel_while_the_server_starts(db: Database, stack: Matchmakers) -> None:
    """The match fails, its server process is ended, and the other ticket searches on with no try counted."""
    await register(db, "duel", spec("hang"))
    stack.start()
    one, two = await queue(db, "duel"), await queue(db, "duel")
    made = (await status(db, "duel", one, "PLACING"))["match"]
    await stack.server_of(made)
    player = json.loads((await ticket(db, "duel", one))["doc"])[0]["id"]
    reply = await db.call("ticket_end", keys.game("duel"), one, "cancelled", now_ms(), "cancelled", player)
    assert reply[:2] == ["ok", "CANCELLED"]
    assert (await match(db, "duel", made))["reason"] == "cancelled"
    await stack.gone(made)
    found = await ticket(db, "duel", two)
    assert (found["state"], found["tries"]) == ("SEARCHING", "0")
    three = await queue(db, "duel")
    assert (await status(db, "duel", three, "PLACING"))["match"] == (await ticket(db, "duel", two))["match"]


async def test_room_is_kept_for_who_is_asked(db: Database, stack: Matchmakers) -> None:
    """Where one more server has room, one match is asked; the others wait until it was turned down."""
    stack.start(MUSTER_MAX_SERVERS="1")
    one, two, _ = await asked_pair(db, stack)
    late = await queue(db, "duel", players=3)
    await status(db, "duel", late, "SEARCHING")
    assert await db.do("ZCARD", f"{keys.game('duel')}:live") == 1
    await answer(db, "duel", two, accept=False)
    await status(db, "duel", late, ASKED)
    await status(db, "duel", one, "SEARCHING")


@pytest.mark.slow
async def test_matchmakers_killed_again_and_again(db: Database, stack: Matchmakers) -> None:
    """Under kills, with players who accept, reject or are silent, each ticket ends in one match or tells why not."""
    chance = random.Random(2)
    await register(db, "duel", spec(acceptance_timeout_s=4, limits=Limits(tries=9)))
    env = {**SOON, "MUSTER_LEASE_S": "0.6"}
    alive = [stack.start(**env), stack.start(**env)]
    tickets: list[str] = []
    moods: dict[str, str] = {}

    async def answer_all() -> None:
        for name in tickets:
            if (await ticket(db, "duel", name))["state"] == ASKED and moods[name] != "silent":
                await answer(db, "duel", name, accept=moods[name] == "keen")

    for _ in range(4):
        fresh = [await queue(db, "duel") for _ in range(8)]
        moods |= {name: chance.choice(("keen", "keen", "keen", "keen", "averse", "silent")) for name in fresh}
        tickets += fresh
        victim = alive.pop(chance.randrange(2))
        victim.kill()
        alive.append(stack.start(**env))
        for _ in range(5):
            await answer_all()
            await asyncio.sleep(0.1)

    async def settled() -> bool:
        await answer_all()
        open_ones = [
            name for name in tickets if (await ticket(db, "duel", name))["state"] not in ("COMPLETED", "CANCELLED")
        ]
        return len(open_ones) <= 1  # an odd one out has nobody to play with

    await eventually(settled, within_s=120)
    live: dict[str, str] = {}
    for made in await db.do("ZRANGE", f"{keys.game('duel')}:live", 0, -1):
        for seat in json.loads((await match(db, "duel", made))["doc"])["players"]:
            assert live.setdefault(seat["ticket"], made) == made
    for name in tickets:
        found = await ticket(db, "duel", name)
        if found["state"] == "COMPLETED":
            assert (moods[name], live[name]) == ("keen", found["match"])
        elif found["state"] == "CANCELLED":
            # An answer that came too late is none.
            wanted = ("rejected", "acceptance_timed_out") if moods[name] == "averse" else ("acceptance_timed_out",)
            assert found["reason"] in wanted
