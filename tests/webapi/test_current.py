"""A client that was started again finds what its player waits for, or plays, by the account alone."""

from __future__ import annotations

import time

from core import keys
from core.clock import now_ms
from core.jointoken import match_key, verify
from core.redis.client import Database
from tests.webapi.support import SECRET, Answer, Api, claim, end, make_ready

PATH = "/v1/tickets/tanks/current"


async def current(api: Api, token: str) -> Answer:
    return await api.ask("GET", PATH, token=token)


async def test_a_player_finds_the_running_match_again(api: Api, db: Database) -> None:
    """Waiting, placing, running, over: each is told by the account alone; in play with the address and a good token."""
    await api.game()
    player = await api.guest()
    token = player["access_token"]
    assert (await current(api, token)).problem == "no-current-ticket"
    ticket = await api.ticket(player)
    assert (await current(api, token)).body["id"] == ticket["id"]
    match = await claim(db, "tanks", ticket)
    assert (await current(api, token)).body["status"] == "PLACING"
    await make_ready(db, "tanks", match)
    found = await current(api, token)
    assert (found.body["id"], found.body["match"], found.headers["Cache-Control"]) == (ticket["id"], match, "no-store")
    assert found.body["connection"]["ports"]
    claims = verify(match_key(SECRET, match), found.body["join_token"], match, time.time())
    assert claims.player == player["player"]
    await end(db, "tanks", match)
    assert (await current(api, token)).problem == "no-current-ticket"


async def test_who_left_or_was_turned_out_finds_nothing(api: Api, db: Database) -> None:
    """No token for a player whose server told that he left, nor for one whose seat is another's; nor for strangers."""
    await api.game()
    one, two, stranger = await api.guest(), await api.guest(), await api.guest()
    match = await claim(db, "tanks", await api.ticket(one), await api.ticket(two))
    await make_ready(db, "tanks", match)
    base, key = keys.game("tanks"), keys.match("tanks", match)
    server = await db.do("HGET", key, "server")
    beat = (match, server, now_ms(), now_ms() + 10_000, "Allocated", "{}")
    assert (await db.call("server_beat", base, *beat, f'["{two["player"]}"]', 0))[0] == "ok"
    assert (await current(api, one["access_token"])).status == 200
    assert (await current(api, two["access_token"])).status == 404
    assert (await current(api, stranger["access_token"])).status == 404
    assert (await db.call("server_beat", base, *beat, "[]", 0))[0] == "ok"  # he came back
    assert (await current(api, two["access_token"])).status == 200


async def test_a_new_ticket_comes_before_the_old_match(api: Api, db: Database) -> None:
    """Who queues again while a match of his runs is told of what he asked for last; then of the newer match."""
    await api.game()
    player = await api.guest()
    old = await claim(db, "tanks", await api.ticket(player))
    await make_ready(db, "tanks", old)
    ticket = await api.ticket(player)
    assert (await current(api, player["access_token"])).body["id"] == ticket["id"]
    new = await claim(db, "tanks", ticket)
    await make_ready(db, "tanks", new)
    assert (await current(api, player["access_token"])).body["match"] == new
    await end(db, "tanks", old)
    assert (await current(api, player["access_token"])).body["match"] == new


async def test_a_failed_match_is_a_wait_again(api: Api, db: Database) -> None:
    """The server is lost: the same ticket is told, back in the queue."""
    await api.game()
    player = await api.guest()
    ticket = await api.ticket(player)
    match = await claim(db, "tanks", ticket)
    await make_ready(db, "tanks", match)
    await db.call("match_step", keys.game("tanks"), match, "fail", now_ms(), "", "server_lost", "", 0, 3)
    found = await current(api, player["access_token"])
    assert (found.body["id"], found.body["status"]) == (ticket["id"], "QUEUED")
    assert "join_token" not in found.body
