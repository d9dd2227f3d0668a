"""A running match asks for players and gets those who fit it, from a real matchmaker with real server processes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from core import keys
from core.clock import new_id, now_ms
from core.model import Limits, Match, Server, Team
from core.redis.client import Database
from core.rules import rule_set
from matchmaker.backfills import Backfills
from matchmaker.mirror import Mirror
from matchmaker.rules import Pool, form
from matchmaker.store import GameStore
from tests.matchmaker.support import Matchmakers, match, queue, register, spec, status, ticket
from tests.support import eventually

GAME = "duel"
SKILL = {
    "ruleLanguageVersion": "1.0",
    "playerAttributes": [{"name": "skill", "type": "number"}],
    "teams": [{"name": "side", "minPlayers": 1, "maxPlayers": 1, "quantity": 2}],
    "rules": [{"name": "Near", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": 10}],
}


def left_duel(**changes: Any) -> Any:
    """A duel that its first player leaves at once."""
    return spec(server=Server(arena={"mode": "play", "leave": 1}), **changes)


async def played(db: Database, **skill: float) -> tuple[str, list[str]]:
    """A match of two that one of them has left, as its server told; and the tickets."""
    tickets = [await queue(db, GAME, attributes=dict(skill)) for _ in range(2)]
    name = (await status(db, GAME, tickets[0], "COMPLETED"))["match"]

    async def told() -> bool:
        return (await match(db, GAME, name)).get("left", "[]") != "[]"

    await eventually(told)
    return name, tickets


async def ask(db: Database, name: str, request: str | None = None) -> str:
    """Ask for players as REST does; '' asks no more."""
    request = new_id("backfill") if request is None else request
    reply = await db.call("backfill_ask", keys.game(GAME), name, "", request, now_ms())
    assert reply == ["ok", request]
    return request


async def document(db: Database, name: str) -> Match:
    return msgspec.json.decode((await match(db, GAME, name))["doc"], type=Match)


async def test_a_free_seat_goes_to_who_fits_those_there(db: Database, stack: Matchmakers) -> None:
    """Not to the ticket that waits longest but breaks the rules with who is there; it joins the team that has room."""
    await register(db, GAME, left_duel(players_per_match=None, rules=SKILL))
    stack.start()
    name, first = await played(db, skill=100)
    before = await document(db, name)
    far = await queue(db, GAME, attributes={"skill": 500})
    await status(db, GAME, far, "SEARCHING")
    await ask(db, name)
    near = await queue(db, GAME, attributes={"skill": 105})
    done = await status(db, GAME, near, "COMPLETED")
    assert (done["match"], json.loads(done[f"e{done['seq']}"])["event"]) == (name, "backfilled")
    assert (await ticket(db, GAME, far))["state"] == "SEARCHING"
    after = await document(db, name)
    (gone,) = [seat for seat in before.players if seat not in after.players]
    (come,) = [seat for seat in after.players if seat not in before.players]
    assert (come.ticket, come.team, gone.ticket in first) == (near, gone.team, True)
    assert await db.do("EXISTS", f"{keys.game(GAME)}:asking") == 0


async def test_a_waiting_ticket_is_seated_when_a_match_asks(db: Database, stack: Matchmakers) -> None:
    """Plain games too, in teams with room left over, and where the game may start no further server."""
    teams = [Team("red", 1, 2), Team("blue", 1, 2)]
    await register(db, GAME, spec(players_per_match=None, teams=teams, fill_wait_s=0.1, limits=Limits(servers=1)))
    stack.start()
    first = [await queue(db, GAME) for _ in range(2)]
    name = (await status(db, GAME, first[0], "COMPLETED"))["match"]
    others = [await queue(db, GAME, players=2), await queue(db, GAME)]
    for one in others:
        await status(db, GAME, one, "SEARCHING")
    await ask(db, name)
    assert (await status(db, GAME, others[1], "COMPLETED"))["match"] == name
    assert len((await document(db, name)).players) == 3
    assert (await ticket(db, GAME, others[0]))["state"] == "SEARCHING"


async def test_the_newest_request_is_filled_and_a_withdrawn_one_is_not(db: Database, stack: Matchmakers) -> None:
    """After a withdrawal nobody is seated; of two requests the newer is used up, once."""
    await register(db, GAME, left_duel())
    stack.start()
    name, _ = await played(db)
    await ask(db, name)
    await ask(db, name, "")
    alone = await queue(db, GAME)
    await status(db, GAME, alone, "SEARCHING")
    await ask(db, name)
    newest = await ask(db, name)
    assert (await status(db, GAME, alone, "COMPLETED"))["match"] == name
    found = await match(db, GAME, name)
    assert (found["roster"], "backfill_ms" in found) == ("1", False)
    if found["backfilled"] != newest:  # the first was filled before the second came, which then replaced nothing
        assert found["backfill"] == newest
    late = await queue(db, GAME)
    await status(db, GAME, late, "SEARCHING")
    assert len((await document(db, name)).players) == 2


async def test_a_request_that_rules_do_not_admit_any_more_waits(db: Database, stack: Matchmakers) -> None:
    """Where the rules changed so that those there do not fit them, nobody is seated with them, and the log says why."""
    await register(db, GAME, left_duel())
    stack.start()
    name, _ = await played(db)
    await register(db, GAME, left_duel(players_per_match=None, rules=SKILL))
    await ask(db, name)

    async def told() -> bool:
        return "do not fit the rules" in stack.log()

    await eventually(told)
    await status(db, GAME, await queue(db, GAME, attributes={"skill": 1}), "SEARCHING")


async def _proposed(db: Database, name: str, token: int) -> tuple[Backfills, Mirror, Any]:
    """What a matchmaker holds right before it seats somebody in the match."""
    store = GameStore(db, GAME, token)
    backfills, rules = Backfills(store.backfills, GAME), rule_set(left_duel())
    pool = Pool(rules)
    mirror = Mirror(store, 100, pool.add, pool.remove)
    backfills.use(pool)
    await mirror.read()
    asked, every = mirror.take_asked()
    assert every
    backfills.mark(asked, every=every)
    assert await backfills.read()
    proposals = form(pool, rules, now_ms(), 1).proposals
    assert [one.backfill for one in proposals] == [name]
    return backfills, mirror, proposals


async def _asked_and_alone(db: Database, stack: Matchmakers) -> tuple[str, str]:
    """A match that asks, the ticket that would fit, and no matchmaker any more."""
    await register(db, GAME, left_duel())
    process = stack.start()
    name, _ = await played(db)
    process.kill()
    await ask(db, name)
    alone = await queue(db, GAME)
    await db.do("DEL", f"{keys.game(GAME)}:lease")
    return name, alone


async def test_a_match_that_ends_on_the_way_takes_nobody(db: Database, stack: Matchmakers) -> None:
    """The ticket waits on, and the request is gone at the next look."""
    name, alone = await _asked_and_alone(db, stack)
    token, _, _ = await db.call("lease_take", keys.game(GAME), "test", 60_000, 0)
    backfills, mirror, proposals = await _proposed(db, name, int(token))
    ended = await db.call("match_step", keys.game(GAME), name, "finish", now_ms(), "", "finished", "", 0, 3)
    assert ended[0] == "ok"
    (joined,) = await backfills.fill(proposals, mirror, now_ms())
    assert (joined.made, joined.taken) == (False, ())
    assert (await ticket(db, GAME, alone))["state"] == "QUEUED"
    assert await backfills.read()
    await mirror.read()
    assert mirror.take_asked() == ({name}, False)


async def test_killed_after_seating_nothing_is_missing(db: Database, stack: Matchmakers) -> None:
    """Whoever takes the game over after a seating that nobody was told of finds it done, and does not do it again."""
    name, alone = await _asked_and_alone(db, stack)
    token, _, _ = await db.call("lease_take", keys.game(GAME), "test", 60_000, 0)
    backfills, mirror, proposals = await _proposed(db, name, int(token))
    (joined,) = await backfills.fill(proposals, mirror, now_ms())
    assert joined.made
    await db.do("DEL", f"{keys.game(GAME)}:lease")
    stack.start()
    late = await queue(db, GAME)
    await status(db, GAME, late, "SEARCHING")
    assert (await ticket(db, GAME, alone))["match"] == name
    assert sorted((await document(db, name)).tickets)[1:] == [alone]


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.1])
async def test_killed_while_a_match_asks(db: Database, stack: Matchmakers, after_s: float) -> None:
    """Wherever kill -9 finds the matchmaker, the next one seats the ticket, once, and it is in one match."""
    await register(db, GAME, left_duel())
    process = stack.start()
    name, _ = await played(db)
    await ask(db, name)
    alone = await queue(db, GAME)
    for _ in range(int(after_s / 0.001)):  # some way into its work
        await db.do("PING")
    process.kill()
    stack.start()
    assert (await status(db, GAME, alone, "COMPLETED"))["match"] == name
    assert [seat.ticket for seat in (await document(db, name)).players].count(alone) == 1
    assert (await match(db, GAME, name))["roster"] == "1"


async def test_backfilled_players_go_back_when_the_match_fails(db: Database, stack: Matchmakers) -> None:
    """A server lost after the backfill puts the new player back with the one who stayed, and they play again."""
    await register(db, GAME, left_duel())
    stack.start()
    name, first = await played(db)
    await ask(db, name)
    alone = await queue(db, GAME)
    await status(db, GAME, alone, "COMPLETED")
    (await stack.server_of(name)).kill()

    async def elsewhere() -> bool:
        found = await ticket(db, GAME, alone)
        return found["state"] == "COMPLETED" and found["match"] != name

    await eventually(elsewhere)
    again = await document(db, (await ticket(db, GAME, alone))["match"])
    assert sorted(set(again.tickets) - {alone}) == sorted(set(first) & set(again.tickets))
    assert len(again.tickets) == 2
