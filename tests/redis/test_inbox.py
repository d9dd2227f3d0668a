"""inbox_put, inbox_take, inbox_drop: commands from outside for a match's server; match_order: a match from outside."""

from __future__ import annotations

import json
from typing import Any

from tests.redis.conftest import Game
from tests.redis.steps import NOW, create, duel, people, register, step


async def put(game: Game, *ids: str, most: int = 10) -> Any:
    """Hand commands to match m1, each with its id as its text."""
    return await game.call("inbox_put", "m1", most, *(part for id_ in ids for part in (id_, f"text of {id_}")))


async def take(game: Game, *answers: str, server: str = "s1", most: int = 10) -> list[tuple[str, str]]:
    """Answer what was taken before (place, id, answer), and take: place and id of each."""
    found, *rest = await game.call("inbox_take", "m1", server, most, *answers)
    assert found == "ok"
    assert [f"text of {id_}" for id_ in rest[1::3]] == rest[2::3]
    return list(zip(rest[::3], rest[1::3], strict=True))


async def test_a_command_is_taken_and_answered_once(game: Game) -> None:
    """In their order; what was not answered comes again, what was is known by its id."""
    await duel(game)
    state, *answers = await put(game, "a", "b")
    assert state == "ok"
    assert all(answer.startswith("waits ") for answer in answers)
    (place, first), (_, second) = await take(game)
    assert (first, second) == ("a", "b")
    assert await put(game, "a", "b") == ["ok", "taken", "taken"]
    assert [id_ for _, id_ in await take(game, place, "a", "done")] == ["b"]
    assert [id_ for _, id_ in await take(game, place, "a", "changed")] == ["b"]
    assert await put(game, "a") == ["ok", "done"]
    assert await game.call("inbox_take", "m1", "s2", 10) == ["foreign"]


async def test_an_inbox_is_bounded_and_keeps_its_order(game: Game) -> None:
    """Where no more may wait, none that comes later is taken in before; a server has so many at once."""
    await duel(game)
    state, *answers = await put(game, "a", "b", "c", "d", most=2)
    assert (state, answers[2:]) == ("ok", ["", ""])
    assert (await put(game, "a", "c", most=2))[2] == ""
    ((place, _),) = await take(game, most=1)
    assert [id_ for _, id_ in await take(game, place, "a", "done")] == ["b"]
    assert (await put(game, "c", most=2))[1].startswith("waits ")


async def test_what_a_server_has_is_not_taken_back(game: Game) -> None:
    """What nobody has taken is; its repeat gets the same answer, and no server ever sees it."""
    await duel(game)
    await put(game, "a")
    await take(game)
    await put(game, "b")
    assert await game.call("inbox_drop", "m1", "no-answer", "a", "b", "x") == ["taken", "no-answer", ""]
    assert await game.call("inbox_drop", "m1", "other", "b") == ["no-answer"]
    assert [id_ for _, id_ in await take(game)] == ["a"]
    assert await put(game, "b") == ["ok", "no-answer"]


async def test_a_match_that_does_not_run_takes_nothing(game: Game) -> None:
    """Unknown, not begun, Agones' own, over; what was executed before is still known."""
    assert await put(game, "a") == ["gone", ""]
    await duel(game, ready=False)
    assert await put(game, "a") == ["early", ""]
    await step(game, "m1", "ready", server="s1")
    await put(game, "a")
    ((place, _),) = await take(game)
    await take(game, place, "a", "done")
    await step(game, "m1", "finish", server="s1", reason="score")
    assert await put(game, "a", "b") == ["over", "done", ""]


async def test_a_server_of_agones_hears_no_commands(game: Game) -> None:
    """Nobody of ours is beside it."""
    await duel(game, ready=False)
    await game.do("HSET", "match:m1", "state", "RUNNING", "server", "agones/default/x")
    assert await put(game, "a") == ["deaf", ""]


async def test_a_beat_tells_that_commands_wait(game: Game) -> None:
    """Until none do."""
    await duel(game)

    async def beat() -> Any:
        return await game.call("server_beat", "m1", "s1", NOW, 0, "Allocated", "{}", "[]", "0")

    assert await beat() == ["ok", "RUNNING", "0"]
    await put(game, "a")
    assert await beat() == ["ok", "RUNNING", "0", "inbox"]
    ((place, _),) = await take(game)
    await take(game, place, "a", "done")
    assert await beat() == ["ok", "RUNNING", "0"]


async def test_what_is_remembered_is_bounded(game: Game) -> None:
    """The last 4096 commands of a match, and never less than what waits."""
    await duel(game)
    for start in range(0, 4200, 700):
        ids = [f"c{number}" for number in range(start, start + 700)]
        await put(game, *ids, most=1000)
        places = await take(game, most=1000)
        await take(game, *(part for place, id_ in places for part in (place, id_, "done")))
    await put(game, "last")
    assert len(await game.hash("inbox:m1:told")) == 4096
    assert (await put(game, "c4199", "c0"))[1] == "done"
    assert (await put(game, "c1"))[1].startswith("waits ")


async def order(game: Game, name: str, match: str, *players: str, digest: str = "d", live_most: int = 10) -> Any:
    """Order a match as core.intake does."""
    seats = [{"id": player, "name": "", "team": "players", "ticket": f"t-{match}"} for player in players]
    document = json.dumps({"id": match, "game_version": 1, "players": seats, "tries": 1})
    args = (NOW, live_most, name, digest, match, document, f"t-{match}", people(*players), *players)
    return await game.call("match_order", *args)


async def test_an_order_is_one_match(game: Game) -> None:
    """It is there with its ticket, to be looked at now; a repeat makes nothing, another under its id is told."""
    await register(game)
    assert await order(game, "their-1", "m1", "p1", "p2") == ["ok", "m1"]
    assert await order(game, "their-1", "m2", "p1", "p2") == ["known", "m1"]
    assert await order(game, "their-1", "m2", "p3", digest="e") == ["other", "m1"]
    assert await game.scores("live") == {"m1": NOW}
    assert (await game.hash("match:m1"))["state"] == "PLACING"
    ticket = await game.hash("ticket:t-m1")
    assert (ticket["state"], ticket["match"], ticket["seq"]) == ("PLACING", "m1", "2")
    assert await game.hash("open") == {"p1": "t-m1", "p2": "t-m1"}
    assert await game.scores("queue") == {}
    (fact,) = await game.do("XRANGE", "log", "-", "+")
    assert '"order":"their-1"' in str(fact)


async def test_an_order_takes_nobody_who_waits_or_plays(game: Game) -> None:
    """Nor more matches than may be, nor of a game that is closed; who left a match plays no more."""
    await duel(game)
    await create(game, "t9", "p9")
    assert await order(game, "x", "m2", "p9") == ["busy", "p9", "t9"]
    assert await order(game, "x", "m2", "p8", "p1") == ["busy", "p1", "m1"]
    assert await order(game, "x", "m2", "p8", live_most=1) == ["full", 1]
    await game.do("HSET", "match:m1", "left", '["p1"]')
    assert await order(game, "x", "m2", "p8", "p1") == ["ok", "m2"]
    await register(game, accepting=False)
    assert await order(game, "y", "m3", "p7") == ["closed", ""]


async def test_players_of_an_order_that_fails_are_not_queued(game: Game) -> None:
    """Whoever ordered it hears of it; a player who cancels ends it for all."""
    await register(game)
    await order(game, "one", "m1", "p1", "p2")
    assert await step(game, "m1", "fail", reason="never_ready", most=1) == ["ok", "FAILED", "t-m1"]
    assert (await game.hash("ticket:t-m1"))["state"] == "FAILED"
    await order(game, "two", "m2", "p1", "p2")
    assert await game.call("ticket_end", "t-m2", "cancelled", NOW, "cancelled", "p1") == ["ok", "CANCELLED", "t-m2"]
    assert (await game.hash("match:m2"))["state"] == "FAILED"
    assert (await game.scores("queue"), await game.hash("open")) == ({}, {})
