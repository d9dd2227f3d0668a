"""Tickets become matches and matches get servers, by a real matchmaker with real server processes."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import msgspec

from core import keys
from core.clock import new_id, now_ms
from core.model import Limits, Match
from core.redis.client import Database
from tests.matchmaker.support import Matchmakers, match, over, queue, register, spec, status, ticket
from tests.matchmaker.test_telling import answer
from tests.support import eventually, free_port

RELAX_S = 300  # a ticket waits before its rules relax


async def test_two_tickets_become_a_match_with_a_server(db: Database, stack: Matchmakers) -> None:
    """Two players who queue are COMPLETED with the connection of a server that runs, and it ends with the match."""
    stack.start()
    await register(db, "duel", spec(play_s=1.0))
    first, second = await queue(db, "duel"), await queue(db, "duel")
    done = await status(db, "duel", first, "COMPLETED")
    assert (await status(db, "duel", second, "COMPLETED"))["match"] == done["match"]
    found = await match(db, "duel", done["match"])
    assert json.loads(found["connection"])["address"] == "127.0.0.1"
    document = msgspec.json.decode(found["doc"], type=Match)
    assert sorted(document.tickets) == sorted([first, second])
    assert [p.team for p in document.players] == ["players", "players"]
    assert (await over(db, "duel", done["match"]))["reason"] == "finished"
    await stack.gone()


async def test_a_single_ticket_is_searched_for(db: Database, stack: Matchmakers) -> None:
    """A ticket that finds no other is SEARCHING, and no server runs for it."""
    stack.start()
    await register(db, "duel", spec())
    alone = await queue(db, "duel")
    await status(db, "duel", alone, "SEARCHING")
    assert stack.servers() == []


async def test_who_comes_right_after_is_told_too(db: Database, stack: Matchmakers) -> None:
    """Those who come just after others were told that they are searched for are told without further news."""
    stack.start(MUSTER_POLL_S="60")
    await register(db, "duel", spec(players_per_match=20))
    for name in [await queue(db, "duel") for _ in range(9)]:
        assert (await status(db, "duel", name, "SEARCHING"))["seq"] == "2"


async def test_a_ticket_times_out(db: Database, stack: Matchmakers) -> None:
    """A ticket that waited longer than its game allows is TIMED_OUT and its player may queue again."""
    stack.start()
    await register(db, "duel", spec(ticket_timeout_s=5))
    alone = await queue(db, "duel", waited_s=6)
    assert (await status(db, "duel", alone, "TIMED_OUT"))["reason"] == "ticket_timeout"
    assert await db.do("HLEN", f"{keys.game('duel')}:open") == 0


async def test_a_vanished_player_leaves_the_queue(db: Database, stack: Matchmakers) -> None:
    """A ticket for which nobody gives a sign of life is CANCELLED as vanished."""
    stack.start(MUSTER_VANISHED_S="1")
    await register(db, "duel", spec())
    alone = await queue(db, "duel")
    assert (await status(db, "duel", alone, "CANCELLED"))["reason"] == "vanished"


async def test_a_sign_of_life_keeps_a_ticket(db: Database, stack: Matchmakers) -> None:
    """A ticket whose player is seen stays, while a silent one beside it leaves."""
    await register(db, "duel", spec(players_per_match=3))
    silent, watched = await queue(db, "duel"), await queue(db, "duel")
    # One that counts for as long as the test may take.
    assert await db.call("tickets_seen", keys.game("duel"), now_ms() + 600_000, watched) == 1
    stack.start(MUSTER_VANISHED_S="1.5")
    assert (await status(db, "duel", silent, "CANCELLED"))["reason"] == "vanished"
    await status(db, "duel", watched, "SEARCHING")


async def test_a_game_at_its_limit_lets_tickets_wait(db: Database, stack: Matchmakers) -> None:
    """With `limits.servers` matches live, further tickets wait, and are matched when one is over."""
    stack.start()
    await register(db, "duel", spec(limits=Limits(servers=1)))
    first = [await queue(db, "duel"), await queue(db, "duel")]
    done = await status(db, "duel", first[0], "COMPLETED")
    second = [await queue(db, "duel"), await queue(db, "duel")]
    await status(db, "duel", second[1], "SEARCHING")
    assert await db.do("ZCARD", f"{keys.game('duel')}:live") == 1
    (await stack.server_of(done["match"])).terminate()
    await status(db, "duel", second[0], "COMPLETED")


async def test_a_host_without_room_claims_nothing(db: Database, stack: Matchmakers) -> None:
    """Where the launcher has no room no match is made: its players keep their place in the queue."""
    stack.start(MUSTER_MAX_SERVERS="1")
    await register(db, "duel", spec())
    first = [await queue(db, "duel"), await queue(db, "duel")]
    done = await status(db, "duel", first[0], "COMPLETED")
    second = [await queue(db, "duel"), await queue(db, "duel")]
    await status(db, "duel", second[1], "SEARCHING")
    (await stack.server_of(done["match"])).terminate()
    await status(db, "duel", second[0], "COMPLETED")


async def test_a_broken_game_does_not_stop_others(db: Database, stack: Matchmakers) -> None:
    """A registration that cannot be read is logged with its game, and other games go on."""
    stack.start()
    await db.do("SADD", keys.GAMES, "broken", "missing")
    await db.do("SET", keys.registration("broken"), '{"id": 5')
    await db.do("ZADD", f"{keys.game('broken')}:queue", 1, "t-1")
    await db.do("HSET", keys.ticket("broken", "t-1"), "state", "QUEUED", "since_ms", 1, "doc", "[]")
    await register(db, "duel", spec())
    first, _ = await queue(db, "duel"), await queue(db, "duel")
    await status(db, "duel", first, "COMPLETED")

    async def told() -> bool:
        return '"game":"broken"' in stack.log()

    await eventually(told)


async def test_a_changed_registration_is_used(db: Database, stack: Matchmakers) -> None:
    """A change of a registration holds for the next matches."""
    stack.start()
    await register(db, "duel", spec(players_per_match=3))
    first, second = await queue(db, "duel"), await queue(db, "duel")
    await status(db, "duel", second, "SEARCHING")
    await register(db, "duel", spec(players_per_match=2))
    await status(db, "duel", first, "COMPLETED")


async def test_what_a_gone_host_said_is_forgotten(db: Database, stack: Matchmakers) -> None:
    """A host that was killed is not shown for ever; one that spoke lately is."""
    entry = '{"at_ms": %d, "total": 0, "servers": []}'
    await db.do("HSET", keys.SERVERS, "gone", entry % 1, "garbled", "[", "other", entry % now_ms())
    stack.start()

    async def forgotten() -> bool:
        return "gone" not in await db.do("HKEYS", keys.SERVERS)

    await eventually(forgotten)
    assert "other" in await db.do("HKEYS", keys.SERVERS)
    assert "garbled" not in await db.do("HKEYS", keys.SERVERS)


async def test_metrics_are_served(db: Database, stack: Matchmakers) -> None:
    """The queue, matches and launches of a game can be scraped."""
    port = free_port()
    stack.start(MUSTER_MATCHMAKER_METRICS_PORT=str(port))
    await register(db, "duel", spec())
    tickets = [await queue(db, "duel") for _ in range(3)]
    await status(db, "duel", tickets[0], "COMPLETED")

    async def scraped() -> str | None:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            text = await answer.text()
        return text if 'muster_queue_tickets{game="duel"} 1.0' in text else None

    text = await eventually(scraped)
    assert 'muster_matches_claimed_total{game="duel"} 1.0' in text
    assert 'muster_launches_total{outcome="started"} 1.0' in text
    assert "muster_leases_held 1.0" in text
    assert 'muster_time_to_match_seconds_count{game="duel"} 2.0' in text


async def test_servers_are_published(db: Database, stack: Matchmakers) -> None:
    """The operator page finds what runs in Redis: match, game, process and memory."""
    stack.start()
    await register(db, "duel", spec())
    first, _ = await queue(db, "duel"), await queue(db, "duel")
    done = await status(db, "duel", first, "COMPLETED")

    async def entry() -> dict[str, Any] | None:
        found = await db.do("HVALS", keys.SERVERS)
        servers = json.loads(found[0])["servers"] if found else []
        return servers[0] if servers and servers[0]["rss_bytes"] and servers[0]["state"] == "Ready" else None

    server = await eventually(entry)
    assert (server["match"], server["game"]) == (done["match"], "duel")
    assert server["pid"] == (await stack.server_of(done["match"])).pid
    assert server["rss_bytes"] > 1_000_000


async def test_a_developers_servers_are_bounded_over_games(stack: Matchmakers, db: Database) -> None:
    """A second game of the same developer gets a server only when the first has given one back."""
    owner = new_id("player")
    for game in ("one", "two"):
        await register(db, game, spec(), owner=owner)
    stack.start(MUSTER_DEVELOPER_SERVERS="1")
    first = await queue(db, "one", players=2)
    played = await status(db, "one", first, "COMPLETED")
    seen_ms = 0

    async def counted() -> bool:  # the one tells how many it has, and the other has read that since
        nonlocal seen_ms
        told = {game: text.split() for game, text in (await db.do("HGETALL", keys.developer(owner))).items()}
        if not seen_ms and told.get("one", ["0"])[0] == "1":
            seen_ms = now_ms()
        return bool(seen_ms) and int(told.get("two", ["0", "0"])[1]) > seen_ms

    await eventually(counted)
    second = await queue(db, "two", players=2)
    await answer(db, "two", second, "full")
    assert (await ticket(db, "two", second))["state"] in ("QUEUED", "SEARCHING")
    server = await stack.server_of(played["match"])
    server.terminate()
    await status(db, "two", second, "COMPLETED")


async def test_matches_satisfy_the_rules(stack: Matchmakers, db: Database) -> None:
    """Only who is near in skill plays together; when the rules relax the rest does, the oldest first."""
    rules = {
        "ruleLanguageVersion": "1.0",
        "playerAttributes": [{"name": "skill", "type": "number"}],
        "teams": [{"name": "side", "minPlayers": 1, "maxPlayers": 1, "quantity": 2}],
        "rules": [{"name": "Near", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": 10}],
        "expansions": [{"target": "rules[Near].maxDistance", "steps": [{"waitTimeSeconds": RELAX_S, "value": 1000}]}],
    }
    await register(db, "duel", spec(players_per_match=None, rules=rules))
    stack.start()
    waited_s = RELAX_S - 3  # of who finds nobody near; the newest ticket of a match decides, so the others wait in vain
    far, farther = [await queue(db, "duel", waited_s=waited_s, attributes={"skill": skill}) for skill in (500, 900)]
    one, near = [await queue(db, "duel", attributes={"skill": skill}) for skill in (100, 105)]
    first = await status(db, "duel", one, "COMPLETED")
    assert (await status(db, "duel", near, "COMPLETED"))["match"] == first["match"]
    second = await status(db, "duel", far, "COMPLETED")
    assert (await status(db, "duel", farther, "COMPLETED"))["match"] == second["match"]
    document = msgspec.json.decode((await match(db, "duel", second["match"]))["doc"], type=Match)
    assert sorted(player.team for player in document.players) == ["side_1", "side_2"]
    assert document.created_ms - int(second["since_ms"]) >= RELAX_S * 1000  # not before the rules relaxed


async def test_a_ticket_that_changed_rules_do_not_admit_is_told(stack: Matchmakers, db: Database) -> None:
    """Rules that came later ask for an attribute that a waiting ticket has not: it FAILED, and says which."""
    await register(db, "duel", spec())
    stack.start()
    name = await queue(db, "duel")
    await status(db, "duel", name, "SEARCHING")
    rules = {
        "ruleLanguageVersion": "1.0",
        "playerAttributes": [{"name": "skill", "type": "number"}],
        "teams": [{"name": "all", "minPlayers": 2, "maxPlayers": 2}],
    }
    await register(db, "duel", spec(players_per_match=None, rules=rules))
    told = await status(db, "duel", name, "FAILED")
    assert "'skill'" in told["reason"]
