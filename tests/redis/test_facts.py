"""What happens to a match is in the game's log once, in the step that made it true."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core import keys
from core.errors import MusterError
from core.redis.client import Caller, Database
from tests.redis.conftest import BASE, Game
from tests.redis.steps import NOW, claim, create, duel, lease, register, step


async def facts(game: Game, log: str = "log") -> list[dict[str, Any]]:
    """All facts of the game, oldest first; of an entry that tells of many tickets each line."""
    rows = await game.do("XRANGE", log, "-", "+")
    found = [
        fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True)) for _, fields in rows
    ]
    assert all("batch" not in row for row in found)  # which is what tells a batch of interactions from a fact
    for row in found:
        assert row["data"].count("\n") == row["match"].count(" ")
    return [json.loads(line) for row in found for line in row["data"].split("\n")]


async def test_a_session_is_told_from_its_beginning_to_its_end(game: Game) -> None:
    """Made, ready, over; a repeat of a step tells nothing again."""
    await duel(game)
    await step(game, "m1", "finish", server="s1", reason="score")
    await step(game, "m1", "finish", server="s1", reason="score")
    made, created, removed = await facts(game)
    assert [one["event"] for one in (made, created, removed)] == [
        "new_match_created",
        "session_created",
        "session_removed",
    ]
    assert [(one["id"], one["match"]) for one in (created, removed)] == [
        ("session_created-m1", "m1"), ("session_removed-m1", "m1")
    ]  # fmt: skip
    assert [player["id"] for player in made["players"]] == ["p1", "p2"]
    assert created["server"] == "s1"
    assert (removed["outcome"], removed["reason"], removed["at_ms"]) == ("ENDED", "score", NOW + 500)


async def test_a_match_that_never_began_has_failed(game: Game) -> None:
    """Its server did not come, or its players did not accept."""
    await duel(game, ready=False)
    await step(game, "m1", "fail", reason="never_ready")
    assert [one["event"] for one in await facts(game)] == ["new_match_created", "match_failed"]
    assert (await facts(game))[-1]["reason"] == "never_ready"


async def test_a_proposal_that_is_turned_down_has_failed(game: Game) -> None:
    """One of those who were asked says no."""
    await register(game)
    for number in (1, 2):
        await create(game, f"t{number}", f"p{number}", now=NOW + number)
    await claim(game, await lease(game), "m1", "t1", "t2", ask_s=30)
    await step(game, "m1", "fail", reason="acceptance_timed_out")
    assert [one["event"] for one in await facts(game)] == ["new_match_created", "match_failed"]


async def test_facts_that_name_an_erased_player_are_taken_out(game: Game) -> None:
    """Others stay, and what a reader has yet to carry away; a step looks at so many, and tells where it stopped."""
    await duel(game)
    await step(game, "m1", "finish", server="s1", reason="score")
    assert await game.call("reader_join", "sink", "oldest") == ["0-0", 0]
    assert await game.call("facts_forget", "p1", "-", 500) == [0, ""]
    rows = await game.do("XRANGE", "log", "-", "+")
    await game.call("reader_commit", "sink", rows[0][0])
    assert await game.call("facts_forget", "p", "-", 1) == [0, rows[0][0]]
    assert await game.call("facts_forget", "p1", "-", 500) == [1, ""]
    assert [one["event"] for one in await facts(game)] == ["session_created", "session_removed"]
    assert await game.call("facts_forget", "p1", "-", 500) == [0, ""]


async def test_tickets_are_told_where_somebody_reads(game: Game, client: Caller) -> None:
    """From its creation to its match, by number; to nobody nothing is told, and what was read is not kept."""
    await register(game)
    await create(game, "t0", "p0")
    assert await game.do("EXISTS", "facts:log") == 0
    assert await client.call("reader_join", keys.facts(BASE), "sink", "oldest") == ["0-0", 0]
    for number in (1, 2):
        await create(game, f"t{number}", f"p{number}", now=NOW + number)
    await claim(game, await lease(game), "m1", "t1", "t2")
    told = await facts(game, "facts:log")
    assert [(one["event"], one["seq"], one["match"]) for one in told] == [
        ("created", 1, ""), ("created", 1, ""), ("claimed", 2, "m1"), ("claimed", 2, "m1")
    ]  # fmt: skip
    assert await game.do("XLEN", "facts:log") == 3  # the match is one step, and so is what it tells of its tickets
    names = [row[1] for row in await game.do("XRANGE", "facts:log", "-", "+")]
    last = names[-1] if isinstance(names[-1], dict) else dict(zip(names[-1][::2], names[-1][1::2], strict=True))
    assert last["match"] == "t1 t2"
    for number in range(3, 1603):
        await create(game, f"t{number}", f"p{number}", most=10_000)
        if number % 64 == 0:
            read = (await game.do("XREVRANGE", "facts:log", "+", "-", "COUNT", 1))[0][0]
            await client.call("reader_commit", keys.facts(BASE), "sink", read)
    assert 1000 <= await game.do("XLEN", "facts:log") < 1400


async def test_a_step_that_fails_half_way_leaves_nothing_to_be_told(game: Game, client: Caller) -> None:
    """What it had gathered is not told with, nor in place of, what later steps tell."""
    await register(game)
    await client.call("reader_join", keys.facts(BASE), "sink", "oldest")
    token = await lease(game)
    for number in (1, 2):
        await create(game, f"t{number}", f"p{number}", now=NOW + number)
    await game.do("SET", "alive", "no sorted set")
    with pytest.raises(MusterError):
        await claim(game, token, "m1", "t1", "t2")
    await game.do("DEL", "alive")
    before = len(await facts(game, "facts:log"))
    await create(game, "t3", "p3")
    told = (await facts(game, "facts:log"))[before:]
    assert [(one["event"], one["seq"]) for one in told] == [("created", 1)]


async def test_servers_without_a_match_are_told(game: Game) -> None:
    """Started, taken by a match or ended without one; a repeat tells nothing again."""
    await register(game)
    await create(game, "t1", "p1")
    token = await lease(game)
    for name in ("w1", "w1", "w2"):
        waits = json.dumps({"id": name, "players": [], "game_version": 1})
        await game.call("standby_create", token, NOW, name, 1, "warm", 10, waits)
    seats = [{"id": "p1", "name": "", "team": "players", "ticket": "t1"}]
    match = json.dumps({"id": "m1", "players": seats, "game_version": 1})
    for _ in range(2):
        await game.call("match_claim", token, NOW, NOW + 60_000, 10, "m1", match, "t1")
    for _ in range(2):
        await game.call("standby_end", "w2", "", NOW + 9, "unneeded", "", token)
    told = [one for one in await facts(game) if one["event"].startswith("server_")]
    assert [(one["event"], one["server"], one["kind"], one["match"]) for one in told] == [
        ("server_started", "w1", "warm", ""), ("server_started", "w2", "warm", ""),
        ("server_allocated", "w1", "warm", "m1"), ("server_ended", "w2", "warm", ""),
    ]  # fmt: skip
    assert told[-1]["reason"] == "unneeded"


async def test_a_trail_has_each_call_once(client: Caller, data: Database) -> None:
    """A repeat is recognised by its writer and number; what is too many goes, and what is too old."""

    async def append(writer: str, number: int, *texts: str, most: int = 100, s: int = 60) -> Any:
        rows = [word for text in texts for word in ("key", text)]
        return await client.call("facts_append", keys.AUDIT, writer, number, most, s, *rows)

    async def there() -> list[str]:
        rows = await data.do("XRANGE", f"{keys.AUDIT}:log", "-", "+")
        found = [it if isinstance(it, dict) else dict(zip(it[::2], it[1::2], strict=True)) for _, it in rows]
        return [it["data"] for it in found]

    assert await append("one", 1, "a", "b") == ["ok", 1]
    assert await append("one", 1, "a", "b", "c") == ["repeat", 1]
    assert await append("two", 1, "d") == ["ok", 1]
    assert await there() == ["a", "b", "d"]
    for number in range(2, 12):
        await append("one", number, *(f"{number}-{i}" for i in range(100)))
    assert 100 <= len(await there()) <= 300
    await append("one", 12, "last", s=0)
    assert len(await there()) <= 200
