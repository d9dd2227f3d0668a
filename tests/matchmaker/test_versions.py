"""A candidate gets its share of new matches, by a real matchmaker; a bad one is stopped, and nobody's match changes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from core import keys
from core.clock import new_id, now_ms
from core.model import Game, Limits, Match, MatchPlayer, Server
from core.redis.client import Database
from core.versions import is_candidates
from tests.matchmaker.support import Matchmakers, match, over, queue, register, spec, status, ticket
from tests.support import eventually

pytestmark = pytest.mark.slow

GAME = "alpha"


async def candidate(db: Database, percent: float, mode: str = "play", **settings: Any) -> None:
    """Try a version 2 whose server does this."""
    current = msgspec.json.decode(await db.do("GET", keys.registration(GAME)), type=Game)
    server = Server(arena={"mode": mode, **settings})
    made = msgspec.structs.replace(current, version=2, spec=msgspec.structs.replace(current.spec, server=server))
    base = keys.game(GAME)
    reply = await db.call("canary_put", base, 1, msgspec.json.encode(made), percent, 20, now_ms())
    assert reply == ["ok", 2]


async def played(db: Database) -> dict[str, Any]:
    """A new duel, once it is claimed: its document, as it is fixed then."""
    one, _ = [await queue(db, GAME) for _ in range(2)]

    async def claimed() -> str:
        return str(await db.do("HGET", keys.ticket(GAME, one), "match") or "")

    return dict(json.loads((await match(db, GAME, await eventually(claimed)))["doc"]))


async def tried(db: Database) -> bool:
    return bool(await db.do("EXISTS", f"{keys.game(GAME)}:canary"))


async def known(stack: Matchmakers, db: Database, of: int) -> None:
    """Wait until new matches get this version; each looked at ends by itself."""

    async def new() -> bool:
        return int((await played(db))["game_version"]) == of

    await eventually(new)


async def test_a_share_of_new_matches_is_the_candidates(db: Database, stack: Matchmakers) -> None:
    """Which ones follows from the match's id; each is served as its version says, and keeps it when the canary ends."""
    await register(db, GAME, spec("play", limits=Limits(servers=100)))
    stack.start()
    await candidate(db, 100, "play", play_s=600)
    await known(stack, db, 2)
    await db.do("HSET", f"{keys.game(GAME)}:canary", "percent", "50")
    found = [await played(db) for _ in range(3)]

    async def both() -> bool:
        found.append(await played(db))
        return {it["game_version"] for it in found[3:]} == {1, 2}

    await eventually(both, within_s=120)
    for it in found[5:]:
        assert (it["game_version"] == 2) is is_candidates(it["id"], 50), it["id"]
        assert (it["server"]["arena"].get("play_s") == 600) is (it["game_version"] == 2)
    last = next(it for it in found if it["game_version"] == 2)
    await db.call("canary_end", keys.game(GAME), 2, "aborted", "", now_ms())
    await known(stack, db, 1)

    async def served() -> dict[str, str] | None:
        found = await match(db, GAME, last["id"])
        return found if found["state"] != "PLACING" else None

    kept = await eventually(served)
    assert (kept["state"], json.loads(kept["doc"])["game_version"]) == ("RUNNING", 2)


async def test_a_bad_candidate_is_stopped(db: Database, stack: Matchmakers) -> None:
    """Its servers die: the matchmaker stops it by itself and says why; its players get the current version."""
    await register(db, GAME, spec("play", play_s=0.1, limits=Limits(tries=10)))
    stack.start()
    for _ in range(6):
        await over(db, GAME, (await played(db))["id"])
    base = keys.game(GAME)
    # What the current version did since the canary began: it is compared from then on.
    await candidate(db, 100, "die")
    await db.do("HSET", f"{base}:canary", "before", "{}")
    await known(stack, db, 2)
    tickets = [await queue(db, GAME) for _ in range(16)]

    async def stopped() -> bool:
        return not await tried(db)

    await eventually(stopped)
    told = json.loads(await db.do("HGET", keys.versions(GAME), "over"))
    assert (told["version"], told["how"]) == (2, "stopped")
    assert "most of them died_early; of the current version's 0 of " in told["why"]

    async def logged() -> bool:  # after it was written
        return "the canary is stopped" in stack.log()

    await eventually(logged)
    for name in tickets:
        await status(db, GAME, name, "COMPLETED")
    assert int(await db.do("HGET", f"{base}:outcomes", "2:fail:died_early")) >= 5


async def test_a_match_keeps_its_version_when_its_matchmaker_dies(db: Database, stack: Matchmakers) -> None:
    """Claimed with the candidate and not started: the next owner starts what was claimed, its canary over or not."""
    await register(db, GAME, spec("die"))
    await candidate(db, 100, "play")
    base, now = keys.game(GAME), now_ms()
    tried_game = msgspec.json.decode(await db.do("HGET", f"{base}:canary", "doc"), type=Game)
    tickets = [await queue(db, GAME) for _ in range(2)]
    seats = [json.loads((await ticket(db, GAME, name))["doc"])[0]["id"] for name in tickets]
    players = [MatchPlayer(seat, "", "players", name) for seat, name in zip(seats, tickets, strict=True)]
    claimed = Match(
        new_id("match"), GAME, 2, now, players, tried_game.spec.server, tried_game.spec.timers, tries=2, move_ttl_s=30
    )
    token = (await db.call("lease_take", base, "the one that dies", 100))[0]
    document = msgspec.json.encode(claimed)
    assert await db.call("match_claim", base, token, now, now, 100, claimed.id, document, *tickets) == ["ok"]
    await db.call("canary_end", base, 2, "aborted", "", now)
    stack.start()
    await status(db, GAME, tickets[0], "COMPLETED")
    found = await match(db, GAME, claimed.id)
    assert (found["state"], json.loads(found["doc"])["game_version"]) == ("RUNNING", 2)
    assert await db.do("HGET", f"{base}:outcomes", "2:ready") == "1"
