"""A real matchmaker follows drains: no new match, queues kept or ended, idle servers let go, deadlines."""

from __future__ import annotations

import msgspec

from core import keys
from core.clock import now_ms
from core.drain import EVERYTHING, Drain
from core.redis.client import Database
from tests.matchmaker.pools import GAMEPOD, pool
from tests.matchmaker.support import Matchmakers, match, over, owner, queue, register, spec, status, ticket
from tests.matchmaker.test_telling import answer
from tests.support import eventually


async def order(db: Database, what: str, drain: Drain | None) -> None:
    """What webapi writes."""
    if drain is None:
        await db.do("HDEL", keys.DRAINS, what)
    else:
        await db.do("HSET", keys.DRAINS, what, msgspec.json.encode(drain))


async def followed(db: Database, game: str) -> None:
    """Wait until the matchmaker says of a ticket that a drain holds it up."""
    waiting = await queue(db, game)
    assert (await answer(db, game, waiting, "draining")).wanted == "maintenance"
    assert (await db.call("ticket_end", keys.game(game), waiting, "cancelled", now_ms(), "", ""))[0] == "ok"


async def test_a_drained_game_makes_no_match_and_its_matches_play_on(stack: Matchmakers, db: Database) -> None:
    """Tickets wait, and are told why; the running match goes on. Taken back, those who waited are matched at once."""
    await register(db, "duel", pool(1))
    stack.start(**GAMEPOD)
    first = [await queue(db, "duel") for _ in range(2)]
    playing = (await status(db, "duel", first[0], "COMPLETED"))["match"]
    standbys = f"{keys.game('duel')}:standbys"

    async def stands() -> int:
        return int(await db.do("ZCARD", standbys))

    async def none_stands() -> bool:
        return not await stands()

    await eventually(stands)
    await order(db, "duel", Drain(now_ms(), note="maintenance"))
    await followed(db, "duel")
    waiting = [await queue(db, "duel") for _ in range(2)]
    await eventually(none_stands)
    await answer(db, "duel", waiting[1], "draining")
    assert {(await ticket(db, "duel", it))["state"] for it in waiting} <= {"QUEUED", "SEARCHING"}
    assert (await match(db, "duel", playing))["state"] == "RUNNING"
    assert int((await db.do("HGETALL", f"{keys.game('duel')}:stats"))["matches_created"]) == 1
    await order(db, "duel", None)
    for it in waiting:
        await status(db, "duel", it, "COMPLETED")
    await eventually(stands)
    assert (await match(db, "duel", playing))["state"] == "RUNNING"


async def test_a_drained_installation_ends_queues_and_at_the_deadline_matches(stack: Matchmakers, db: Database) -> None:
    """With `end` who waits leaves as CANCELLED; at the deadline what runs is over, `drained`, and no server is left."""
    for game in ("duel", "other"):
        await register(db, game, spec())
    stack.start()
    seated = [await queue(db, "duel") for _ in range(2)]
    playing = (await status(db, "duel", seated[0], "COMPLETED"))["match"]
    alone = await queue(db, "other")
    await status(db, "other", alone, "SEARCHING")
    await order(db, EVERYTHING, Drain(now_ms(), queue="end", until_ms=now_ms() + 3_600_000))
    assert (await status(db, "other", alone, "CANCELLED"))["reason"] == "drained"
    assert (await match(db, "duel", playing))["state"] == "RUNNING"
    await order(db, EVERYTHING, Drain(now_ms(), queue="end", until_ms=now_ms()))
    ended = await over(db, "duel", playing)
    assert (ended["state"], ended["reason"]) == ("ENDED", "drained")
    assert (await ticket(db, "duel", seated[0]))["state"] == "COMPLETED"
    await stack.gone()
    late = await queue(db, "duel")
    assert (await status(db, "duel", late, "CANCELLED"))["reason"] == "drained"


async def test_the_next_owner_of_a_game_follows_its_drain(stack: Matchmakers, db: Database) -> None:
    """A matchmaker that takes over has read the orders before its first pass: no match slips in between."""
    await register(db, "duel", spec())
    await order(db, "duel", Drain(now_ms(), note="maintenance"))
    waiting = [await queue(db, "duel") for _ in range(2)]
    for number in range(2):
        process = stack.start()
        await eventually(lambda: owner(db, "duel"))
        await answer(db, "duel", waiting[number], "draining")
        process.kill()
        process.wait()
        await db.do("DEL", f"{keys.game('duel')}:lease")
    assert await db.do("ZCARD", f"{keys.game('duel')}:live") == 0
    assert await db.do("ZCARD", f"{keys.game('duel')}:queue") == 2
