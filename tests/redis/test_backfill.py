"""backfill_ask, backfill_requests, backfill_claim: a running match asks for players, and gets them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from core.errors import Fenced
from tests.redis.conftest import Game
from tests.redis.steps import NOW, create, duel, lease, people, step

LEFT = '["p1"]'


def seats(*tickets: str) -> str:
    """The document of m1 with the player of each ticket."""
    players = [{"id": f"p{t[1:]}", "name": "", "team": "players", "ticket": t} for t in tickets]
    return json.dumps({"id": "m1", "players": players})


async def ask(game: Game, request: str = "b1", *, server: str = "s1", left: str = LEFT, roster: str = "0") -> Any:
    """Ask as the server, which tells who left; or as the control plane, where `server` is ''."""
    told = (roster, left) if server else ()
    return await game.call("backfill_ask", "m1", server, request, NOW + 600, *told)


async def read(game: Game, match: str = "m1") -> list[str]:
    """What a match asks for, without its id."""
    ((found, *row),) = await game.call("backfill_requests", match)
    assert found == match
    return list(row)


async def fill(game: Game, token: int, *tickets: str, row: list[str], request: str = "b1") -> Any:
    """Claim these tickets by what was read."""
    digest = hashlib.sha1(f"{row[2]}{row[3]}".encode(), usedforsecurity=False).hexdigest()
    return await game.call("backfill_claim", token, NOW + 700, "m1", request, digest, seats("t2", *tickets), *tickets)


async def asked(game: Game) -> tuple[int, list[str]]:
    """m1 is played by p1 and p2, p1 has left, and t3 waits: the fencing token, and the request as read."""
    token = await duel(game)
    await create(game, "t3", "p3", now=NOW + 3)
    assert await ask(game) == ["ok", "b1"]
    return token, await read(game)


async def test_a_request_tells_who_is_there(game: Game) -> None:
    """Request, age, seats, who left and the tickets' documents are read in one step; who asks for nobody has none."""
    await duel(game)
    assert await read(game) == await read(game, "m9") == []
    await ask(game)
    request, since, document, left, *tickets = await read(game)
    assert (request, since, left) == ("b1", str(NOW + 600), LEFT)
    assert json.loads(document)["players"] == json.loads(seats("t1", "t2"))["players"]
    assert tickets == ["t1", people("p1"), "t2", people("p2")]
    assert await game.do("SMEMBERS", "asking") in ({"m1"}, ["m1"])


async def test_only_a_running_match_of_the_server_asks(game: Game) -> None:
    """Before Ready, after the end, for another's or an unknown match nothing is asked."""
    await duel(game, ready=False)
    assert await ask(game) == ["over", "PLACING"]
    assert await ask(game, server="") == ["over", "PLACING"]
    await step(game, "m1", "ready", server="s1")
    assert await ask(game, server="s2") == ["foreign", "RUNNING"]
    assert await game.call("backfill_ask", "m9", "", "b1", NOW) == ["gone", ""]
    await step(game, "m1", "finish", server="s1")
    assert await ask(game) == ["over", "ENDED"]
    assert await game.do("EXISTS", "asking") == 0


async def test_the_newest_request_replaces_the_older(game: Game) -> None:
    """There is one request; a repeat of the newest changes nothing; '' withdraws it, and a repeat brings none back."""
    token, old = await asked(game)
    assert await ask(game, "b2") == ["ok", "b2"]
    assert await fill(game, token, "t3", row=old) == ["stale", "RUNNING"]
    stats = await game.hash("stats")
    assert await ask(game, "b2") == ["ok", "b2"]
    assert (await game.hash("stats"), (await read(game))[0]) == (stats, "b2")
    assert await ask(game, "") == await ask(game, "", server="") == ["ok", ""]
    assert await read(game) == []
    await ask(game, "b2")
    assert await read(game) == []
    assert await fill(game, token, "t3", row=old, request="b2") == ["stale", "RUNNING"]


async def test_a_filled_request_seats_its_tickets(game: Game) -> None:
    """The ticket is COMPLETED with the match, the seats are those there and the new ones, the request is used up."""
    token, row = await asked(game)
    assert await fill(game, token, "t3", row=row) == ["ok"]
    ticket = await game.hash("ticket:t3")
    assert (ticket["state"], ticket["match"], json.loads(ticket["e2"])["event"]) == ("COMPLETED", "m1", "backfilled")
    match = await game.hash("match:m1")
    assert (json.loads(match["doc"]), match["left"], match["roster"]) == (json.loads(seats("t2", "t3")), "[]", "1")
    assert await game.scores("queue") == await game.hash("open") == {}
    assert await read(game) == []
    assert await game.do("EXISTS", "asking") == 0
    assert 0 < await game.do("TTL", "ticket:t3") <= 90_000


async def test_a_fill_recognises_its_repeat(game: Game) -> None:
    """The same call again answers ok and moves nothing; other tickets are refused, for the request is used up."""
    token, row = await asked(game)
    await create(game, "t4", "p4", now=NOW + 4)
    await fill(game, token, "t3", row=row)
    before = await game.hash("ticket:t3"), await game.hash("match:m1"), await game.hash("stats")
    assert await fill(game, token, "t3", row=row) == ["ok"]
    assert await fill(game, token, "t4", row=row) == ["stale", "RUNNING"]
    assert (await game.hash("ticket:t3"), await game.hash("match:m1"), await game.hash("stats")) == before
    assert (await game.hash("ticket:t4"))["state"] == "QUEUED"


async def test_a_fill_takes_no_part(game: Game) -> None:
    """One ticket that does not wait any more is named, the others wait on, and the match still asks."""
    token, row = await asked(game)
    await create(game, "t4", "p4", now=NOW + 4)
    await game.call("ticket_end", "t4", "cancelled", NOW, "")
    assert await fill(game, token, "t3", "t4", row=row) == ["taken", "t4"]
    assert (await game.hash("ticket:t3"))["state"] == "QUEUED"
    assert await read(game) == row


@pytest.mark.parametrize("event", ["finish", "fail"])
async def test_a_match_that_ended_meanwhile_takes_nobody(game: Game, event: str) -> None:
    """The request ends with its match, and a claim that is on its way then seats nobody."""
    token, row = await asked(game)
    await step(game, "m1", event, server="s1", reason="finished")
    assert await fill(game, token, "t3", row=row) == ["stale", {"finish": "ENDED", "fail": "FAILED"}[event]]
    assert (await game.hash("ticket:t3"))["state"] == "QUEUED"
    assert await read(game) == []
    assert await game.do("EXISTS", "asking") == 0


async def test_a_fill_by_who_was_there_before_is_refused(game: Game) -> None:
    """Where somebody left, or came back, since the request was read, nobody is seated by what was read."""
    token, row = await asked(game)
    await game.call("server_beat", "m1", "s1", NOW + 650, NOW + 9_000, "Ready", "{}", "[]", 0)
    assert await fill(game, token, "t3", row=row) == ["stale", "RUNNING"]
    assert (await read(game))[3] == "[]"


async def test_a_fill_is_fenced(game: Game) -> None:
    """An owner whose lease another took seats nobody."""
    token, row = await asked(game)
    await game.call("lease_drop", "replica-1")
    await lease(game, "replica-2")
    with pytest.raises(Fenced):
        await fill(game, token, "t3", row=row)
    assert (await game.hash("ticket:t3"))["state"] == "QUEUED"


async def test_a_beat_tells_of_new_seats(game: Game) -> None:
    """The answer has the number of the roster; who left is taken only from a server that knows the newest one."""
    token, row = await asked(game)
    await fill(game, token, "t3", row=row)
    beat = ("m1", "s1", NOW + 800, NOW + 9_000, "Ready", "{}")
    assert await game.call("server_beat", *beat, LEFT, 0) == ["ok", "RUNNING", "1"]
    assert (await game.hash("match:m1"))["left"] == "[]"
    await game.call("server_beat", *beat, '["p3"]', 1)
    assert (await game.hash("match:m1"))["left"] == '["p3"]'
    assert await ask(game, "b2", left='["p2"]', roster="0") == ["ok", "b2"]
    assert (await read(game))[3] == '["p3"]'


async def test_a_later_failure_puts_back_who_was_backfilled(game: Game) -> None:
    """The new player is requeued with his wait like the others; the one whose seat he has is not."""
    token, row = await asked(game)
    await fill(game, token, "t3", row=row)
    reply = await step(game, "m1", "fail", reason="crashed")
    assert sorted(reply[2:]) == ["t2", "t3"]
    assert await game.scores("queue") == {"t2": NOW + 2, "t3": NOW + 3}
    assert (await game.hash("ticket:t1"))["state"] == "COMPLETED"


async def test_changes_tell_of_requests(game: Game) -> None:
    """Who mirrors the queue hears of a match whose request came, changed or ended, beside the tickets."""
    token = await duel(game)
    _, place, *_ = await game.call("queue_changes", "", 100, 100)
    await create(game, "t3", "p3", now=NOW + 3)
    await ask(game)
    kind, after, *found = await game.call("queue_changes", place, 100, 100)
    assert (kind, found[:3], found[4:]) == ("some", ["t3", str(NOW + 3), "QUEUED"], ["", "m1", "", "BACKFILL", "", ""])
    await fill(game, token, "t3", row=await read(game))
    _, _, *found = await game.call("queue_changes", after, 100, 100)
    assert found == ["t3", "", "", "", "", "m1", "", "BACKFILL", "", ""]


async def test_seats_are_found_by_their_players(game: Game) -> None:
    """Who has a seat is known while the match runs: not before, not after, nor once his seat is another's."""
    token = await duel(game, ready=False)
    assert await game.do("EXISTS", "playing") == 0
    await step(game, "m1", "ready", server="s1")
    assert [await game.do("HGET", "playing", f"p{i}") for i in (1, 2)] == ["m1", "m1"]
    await create(game, "t3", "p3", now=NOW + 3)
    await ask(game)
    assert await fill(game, token, "t3", row=await read(game)) == ["ok"]
    assert [await game.do("HGET", "playing", f"p{i}") for i in (1, 2, 3)] == [None, "m1", "m1"]
    await game.do("HSET", "playing", "p2", "m7")  # he plays another one by now
    await step(game, "m1", "finish", server="s1")
    assert [await game.do("HGET", "playing", f"p{i}") for i in (1, 2, 3)] == [None, "m7", None]
