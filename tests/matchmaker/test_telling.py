"""A real matchmaker says why a ticket still waits, and how its queue goes."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec

from core import keys
from core.insight import QUESTION_MS, QUESTIONS, Figures, WhyNot
from core.model import Limits
from core.redis.client import Database
from tests.matchmaker.support import Matchmakers, owner, queue, register, spec, status
from tests.support import eventually, free_port


def near(most: int, *steps: dict[str, Any], wait: int = 60) -> dict[str, Any]:
    """A duel of players within `most` of each other in skill, relaxed by steps."""
    steps = steps or ({"waitTimeSeconds": wait, "value": 1000},)
    return {
        "ruleLanguageVersion": "1.0",
        "playerAttributes": [{"name": "skill", "type": "number"}],
        "teams": [{"name": "side", "minPlayers": 1, "maxPlayers": 1, "quantity": 2}],
        "rules": [{"name": "Skill", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": most}],
        "expansions": [{"target": "rules[Skill].maxDistance", "steps": list(steps)}],
    }


async def answer(db: Database, game: str, ticket: str, reason: str) -> WhyNot:
    """What the matchmaker answers, once it gives this reason. Nobody rings: it finds the question by itself."""

    async def told() -> WhyNot | None:
        kind, text = await db.call("why_ask", keys.game(game), ticket, QUESTIONS, QUESTION_MS)
        why = msgspec.json.decode(text, type=WhyNot) if kind == "told" else None
        return why if why and why.reason == reason else None

    return await eventually(told)


async def figures(db: Database, game: str) -> Figures | None:
    text = await db.do("GET", f"{keys.game(game)}:figures")
    return msgspec.json.decode(text, type=Figures) if text else None


async def test_the_rule_that_stands_in_the_way_is_told(stack: Matchmakers, db: Database) -> None:
    """With both values, how many wait, and the moment the next expansion opens."""
    steps = {"waitTimeSeconds": 600, "value": 150}, {"waitTimeSeconds": 3600, "value": 1000}
    await register(db, "duel", spec(players_per_match=None, rules=near(50, *steps)))
    stack.start()
    low = await queue(db, "duel", attributes={"skill": 1200}, waited_s=20)
    await queue(db, "duel", attributes={"skill": 1420}, waited_s=10)
    since = int((await status(db, "duel", low, "SEARCHING"))["since_ms"])
    why = await answer(db, "duel", low, "rule")
    assert (why.rule, why.wanted, why.own, why.met) == ("Skill", "within 50", 1200, 1420)
    assert (why.tickets, why.players) == (2, 2)
    assert why.times >= 1
    assert why.opens_ms == since + 600_000


async def test_an_expansion_changes_the_answer(stack: Matchmakers, db: Database) -> None:
    """Once a step has opened for all, the answer has its bound and the time of the next; after the last none."""
    steps = {"waitTimeSeconds": 5, "value": 100}, {"waitTimeSeconds": 300, "value": 200}
    await register(db, "duel", spec(players_per_match=None, rules=near(50, *steps)))
    stack.start()
    for waited_s, wanted, opens in ((10, "within 100", True), (500, "within 200", False)):
        low = await queue(db, "duel", attributes={"skill": 0}, waited_s=waited_s)
        high = await queue(db, "duel", attributes={"skill": 900}, waited_s=waited_s)
        await status(db, "duel", high, "SEARCHING")
        why = await answer(db, "duel", low, "rule")
        assert (why.wanted, why.opens_ms is not None) == (wanted, opens)
        for ticket in (low, high):
            await db.call("ticket_end", keys.game("duel"), ticket, "cancelled", 1, "cancelled")


async def test_alone_a_ticket_lacks_players(stack: Matchmakers, db: Database) -> None:
    """Where nobody else waits, the teams are the reason, and a party counts by its players."""
    await register(db, "duel", spec(players_per_match=4))
    stack.start()
    alone = await queue(db, "duel", players=2)
    why = await answer(db, "duel", alone, "teams")
    assert (why.wanted, why.tickets, why.players, why.opens_ms) == ("players of 4 players", 1, 2, None)


async def test_a_full_game_is_the_reason(stack: Matchmakers, db: Database) -> None:
    """With as many servers as allowed, that is what stands in the way, whatever the rules say; and no longer after."""
    await register(db, "duel", spec(limits=Limits(servers=1)))
    stack.start()
    first, _ = await queue(db, "duel"), await queue(db, "duel")
    done = await status(db, "duel", first, "COMPLETED")
    second = [await queue(db, "duel"), await queue(db, "duel")]
    why = await answer(db, "duel", second[0], "full")
    assert (why.wanted, why.tickets) == ("at most 1 servers at once", 2)

    async def held_up() -> bool:
        told = await figures(db, "duel")
        return told is not None and told.held_up == "full"

    await eventually(held_up)
    (await stack.server_of(done["match"])).terminate()
    await status(db, "duel", second[0], "COMPLETED")


async def test_no_room_for_servers_is_the_reason(stack: Matchmakers, db: Database) -> None:
    """Where the launcher has no room, that is told."""
    await register(db, "duel", spec())
    stack.start(MUSTER_MAX_SERVERS="1")
    first, _ = await queue(db, "duel"), await queue(db, "duel")
    await status(db, "duel", first, "COMPLETED")
    second, _ = await queue(db, "duel"), await queue(db, "duel")
    await answer(db, "duel", second, "no_room")


async def test_a_broken_registration_is_the_reason(stack: Matchmakers, db: Database) -> None:
    """Who waits for a game that cannot be read hears so; what is wrong is for its developer, in the figures."""
    await register(db, "duel", spec())
    stack.start()
    alone = await queue(db, "duel")
    await answer(db, "duel", alone, "teams")
    await db.do("SET", keys.registration("duel"), '{"id": 5')
    assert (await answer(db, "duel", alone, "broken")).wanted == ""

    async def told() -> bool:
        found = await figures(db, "duel")
        return found is not None and found.held_up == "broken" and bool(found.detail)

    await eventually(told)
    await register(db, "duel", spec())
    await answer(db, "duel", alone, "teams")


async def test_who_waits_behind_all_that_are_looked_at_hears_so(stack: Matchmakers, db: Database) -> None:
    """Of a queue longer than the pool the youngest are told that older ones come first."""
    await register(db, "duel", spec(players_per_match=3))
    stack.start(MUSTER_POOL_TICKETS="2")
    old = [await queue(db, "duel", waited_s=10), await queue(db, "duel", waited_s=9)]
    await status(db, "duel", old[1], "SEARCHING")
    young = await queue(db, "duel")
    assert (await answer(db, "duel", young, "behind")).tickets == 2


async def test_the_next_owner_answers(stack: Matchmakers, db: Database) -> None:
    """Killed with a question unanswered, the matchmaker is followed by one that answers it from its own first pass."""
    await register(db, "duel", spec())
    alone = await queue(db, "duel")
    first = stack.start(MUSTER_LEASE_S="1")

    async def owned() -> str:
        return await owner(db, "duel")

    await eventually(owned)
    first.kill()
    asked = await db.call("why_ask", keys.game("duel"), alone, QUESTIONS, QUESTION_MS)
    assert asked[0] in ("asked", "nobody")
    stack.start(MUSTER_LEASE_S="1")
    await answer(db, "duel", alone, "teams")


async def test_figures_tell_how_the_queue_goes(stack: Matchmakers, db: Database) -> None:
    """Who waits, who was matched after how long and at which stage, how level the matches were, which rule rejects."""
    port = free_port()
    await register(db, "duel", spec(players_per_match=None, rules=near(50, wait=600)))
    stack.start(MUSTER_MATCHMAKER_METRICS_PORT=str(port))
    made = [await queue(db, "duel", attributes={"skill": skill}, waited_s=4) for skill in (100, 130)]
    await status(db, "duel", made[0], "COMPLETED")
    for skill in (500, 900):
        await queue(db, "duel", attributes={"skill": skill}, waited_s=2)

    async def told() -> Figures | None:
        found = await figures(db, "duel")
        return found if found and found.tickets == 2 and found.lately.rejections else None

    found = await eventually(told)
    lately = found.lately
    assert (found.players, found.held_up, lately.matches, lately.matched_tickets) == (2, "", 1, 2)
    assert (lately.stages, lately.spread, lately.worst_latency_ms) == ({"0": 1}, 30, None)
    assert lately.rejections["Skill"] > 0
    assert lately.waits is not None
    assert 4 <= lately.waits.median_s <= lately.waits.longest_s
    assert 0 < lately.pass_ms <= lately.longest_pass_ms
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as scraped:
        text = await scraped.text()
    assert 'muster_matches_by_stage_total{game="duel",stage="0"} 1.0' in text
    assert 'muster_match_spread_sum{game="duel"} 30.0' in text
    assert 'muster_rejections_total{game="duel",rule="Skill"}' in text
    assert 'muster_match_worst_latency_seconds_count{game="duel"}' not in text
