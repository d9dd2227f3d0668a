"""Waiting for a match: tickets, long polls and streams."""

from __future__ import annotations

import asyncio
from typing import Any

import jwt
import pytest

from core import keys
from core.clock import now_ms
from core.jointoken import match_key, verify
from core.model import Server
from core.redis.client import Database
from tests.support import eventually
from tests.webapi.support import SECRET, Api, claim, end, make_ready, next_event, open_api
from webapi import streams


def _path(ticket: dict[str, Any]) -> str:
    return f"/v1/tickets/{ticket['game']}/{ticket['id']}"


async def test_a_ticket_goes_from_its_queue_to_a_match(api: Api, db: Database) -> None:
    """Each state is told; only while the match can be joined does each player get an address and a token of his own."""
    await api.game()
    players = [await api.guest(name) for name in ("Ann", "Bob")]
    tickets = [await api.ticket(player) for player in players]
    assert (tickets[0]["status"], tickets[0]["seq"]) == ("QUEUED", 1)
    match = await claim(db, "tanks", *tickets)
    placing = await api.ask("GET", _path(tickets[0]), token=players[0]["access_token"])
    assert (placing.body["status"], placing.body["match"]) == ("PLACING", match)
    assert "connection" not in placing.body
    await make_ready(db, "tanks", match)
    for player, ticket, name in zip(players, tickets, ("Ann", "Bob"), strict=True):
        done = (await api.ask("GET", _path(ticket), token=player["access_token"])).body
        assert done["status"] == "COMPLETED"
        assert done["connection"] == {
            "address": "127.0.0.1",
            "ports": [{"name": "game", "protocol": "udp", "port": 7000}],
        }
        claims = verify(match_key(SECRET, match), done["join_token"], match, now_ms() / 1000)
        assert (claims.player, claims.name, claims.team) == (player["player"], name, "players")
    await end(db, "tanks", match)
    over = (await api.ask("GET", _path(tickets[0]), token=players[0]["access_token"])).body
    assert "join_token" not in over


@pytest.mark.parametrize("algorithm", ["EdDSA", "HS256"])
async def test_a_game_verifies_join_tokens_with_a_public_key(redis_url: str, db: Database, algorithm: str) -> None:
    """A game of its own gets tokens that the published keys verify, and its sidecar; with HS256 the sidecar alone."""
    async with open_api(redis_url, join_algorithm=algorithm) as api:
        await api.game()
        player = await api.guest("Ann")
        ticket = await api.ticket(player)
        match = await claim(db, "tanks", ticket, server=Server(command=["./game"]))
        await make_ready(db, "tanks", match)
        token = (await api.ask("GET", _path(ticket), token=player["access_token"])).body["join_token"]
        assert verify(match_key(SECRET, match), token, match, now_ms() / 1000).player == player["player"]
        header = jwt.get_unverified_header(token)
        assert header["alg"] == algorithm
        if algorithm == "EdDSA":
            published = await api.ask("GET", "/.well-known/jwks.json")
            key = jwt.PyJWKSet.from_dict(published.body)[header["kid"]]
            claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="muster:join")
            assert (claims["sub"], claims["match"], claims["name"]) == (player["player"], match, "Ann")


async def test_anothers_ticket_does_not_exist(api: Api) -> None:
    """Reading, watching or cancelling a stranger's ticket is 404, as for one that never was."""
    await api.game()
    ticket = await api.ticket(await api.guest())
    stranger = (await api.guest())["access_token"]
    never = _path({"game": "tanks", "id": ticket["id"][:-1] + ("0" if ticket["id"][-1] != "0" else "1")})
    for path in (_path(ticket), never, "/v1/tickets/tanks/nonsense", "/v1/tickets/..%2f/t-1"):
        for method, tail in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
            answer = await api.ask(method, path + tail, token=stranger)
            assert answer.status == 404, (method, path)
            assert answer.problem.endswith(("such-ticket", "not-found"))


async def test_a_player_waits_once_in_a_game(api: Api) -> None:
    """A second ticket while one is open is a conflict that names the first; another game is another matter."""
    await api.game()
    await api.game("chess")
    guest = await api.guest()
    ticket = await api.ticket(guest)
    answer = await api.ask("POST", "/v1/tickets", {"game": "tanks"}, token=guest["access_token"])
    assert (answer.status, answer.problem, answer.body["ticket"]) == (409, "ticket-open", ticket["id"])
    await api.ticket(guest, "chess")


async def test_many_tickets_at_once_are_one(api: Api) -> None:
    """Of requests sent at the same time for one player, one makes a ticket."""
    await api.game()
    token = (await api.guest())["access_token"]
    asked = (api.ask("POST", "/v1/tickets", {"game": "tanks"}, token=token) for _ in range(8))
    assert sorted(answer.status for answer in await asyncio.gather(*asked)) == [201] + [409] * 7


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({"game": "none"}, 404, "no-such-game"),
        ({"game": "NO GAME"}, 404, "no-such-game"),
        ({"game": ""}, 422, "invalid"),
        ({"game": "tanks", "skill": 3}, 422, "invalid"),
        ({"game": "tanks", "latencies": {"eu": -1}}, 422, "invalid"),
        ({"game": "tanks", "attributes": {"a": [1]}}, 422, "invalid"),
        ({"game": "tanks", "party": "nosuch"}, 404, "no-such-party"),
        ({}, 422, "invalid"),
    ],
)
async def test_a_bad_ticket_is_refused(api: Api, body: dict[str, Any], status: int, problem: str) -> None:
    """A game that is not there, an unknown field, a value out of bounds: each has its refusal."""
    await api.game()
    answer = await api.ask("POST", "/v1/tickets", body, token=(await api.guest())["access_token"])
    assert (answer.status, answer.problem) == (status, problem)


async def test_a_full_or_closed_game_takes_no_tickets(api: Api) -> None:
    """A full queue is 429 with a time to come back; a draining game is a conflict."""
    await api.game("small", limits={"queued_tickets": 1})
    await api.game("closed", accepting=False)
    await api.ticket(await api.guest(), "small")
    token = (await api.guest())["access_token"]
    full = await api.ask("POST", "/v1/tickets", {"game": "small"}, token=token)
    assert (full.status, full.problem) == (429, "queue-full")
    assert full.headers["Retry-After"] == "5"
    closed = await api.ask("POST", "/v1/tickets", {"game": "closed"}, token=token)
    assert (closed.status, closed.problem) == (409, "game-closed")


async def test_the_same_request_again_gives_the_same_ticket(api: Api, db: Database) -> None:
    """With an Idempotency-Key a repeat gives the ticket as it stands; another body, key or player another one."""
    await api.game()
    guest, other = await api.guest(), await api.guest()
    headers = {"Idempotency-Key": "once"}
    body = {"game": "tanks", "attributes": {"skill": 3.0}}
    first, again = [
        (await api.ask("POST", "/v1/tickets", body, token=guest["access_token"], headers=headers)) for _ in range(2)
    ]
    assert (first.status, again.status) == (201, 201)
    assert first.body["id"] == again.body["id"]
    await claim(db, "tanks", first.body)
    moved = await api.ask("POST", "/v1/tickets", body, token=guest["access_token"], headers=headers)
    assert (moved.body["id"], moved.body["status"]) == (first.body["id"], "PLACING")
    different = await api.ask("POST", "/v1/tickets", {"game": "tanks"}, token=guest["access_token"], headers=headers)
    assert different.problem == "ticket-open"
    theirs = await api.ask("POST", "/v1/tickets", body, token=other["access_token"], headers=headers)
    assert theirs.body["id"] != first.body["id"]
    long = await api.ask(
        "POST", "/v1/tickets", body, token=other["access_token"], headers={"Idempotency-Key": "k" * 256}
    )
    assert (long.status, long.body["pointer"]) == (422, "Idempotency-Key")


async def test_cancelling(api: Api, db: Database) -> None:
    """A waiting ticket is cancelled, twice is fine; one whose match can be played is past waiting."""
    await api.game()
    guest = await api.guest()
    ticket = await api.ticket(guest)
    for _ in range(2):
        answer = await api.ask("DELETE", _path(ticket), token=guest["access_token"])
        assert (answer.status, answer.body["status"]) == (200, "CANCELLED")
    second = await api.ticket(guest)
    await make_ready(db, "tanks", await claim(db, "tanks", second))
    late = await api.ask("DELETE", _path(second), token=guest["access_token"])
    assert (late.status, late.problem) == (409, "past-waiting")


async def test_a_long_poll_answers_when_the_ticket_changes(api: Api, db: Database) -> None:
    """It holds while nothing is new, and answers with what is; without a ring, too."""
    await api.game()
    guest = await api.guest()
    ticket = await api.ticket(guest)
    asking = asyncio.ensure_future(api.ask("GET", _path(ticket) + "?wait_s=30&after=1", token=guest["access_token"]))
    await eventually(lambda: _watched(api, 1))
    assert not asking.done()
    await claim(db, "tanks", ticket)  # and nobody rings
    assert (await asking).body["status"] == "PLACING"
    at_once = await api.ask("GET", _path(ticket) + "?wait_s=30&after=1", token=guest["access_token"])
    assert at_once.body["seq"] == 2
    patient = await api.ask("GET", _path(ticket) + "?wait_s=0.05", token=guest["access_token"])
    assert patient.body["seq"] == 2


async def _watched(api: Api, count: int) -> bool:
    return len(api.services.streams._watchers) == count


async def test_a_ring_wakes_a_waiter(api: Api, db: Database) -> None:
    """Whoever waits for the ticket that a ring names looks at once, before the sweep would have told."""
    await api.game()
    guest = await api.guest()
    ticket = await api.ticket(guest)
    with api.services.streams.watch(("tanks", ticket["id"]), guest["player"], 1) as watcher:
        api.services.streams.heard("ticket", ["t-other"])
        assert not await watcher.waker.wait(0)
        api.services.streams.heard("ticket", ["t-other", ticket["id"]])
        assert await watcher.waker.wait(0)
        await api.services.streams.sweep()
        assert not await watcher.waker.wait(0)
        await claim(db, "tanks", ticket)
        await api.services.streams.sweep()
        assert await watcher.waker.wait(0)


async def test_a_stream_tells_every_change_and_ends(api: Api, db: Database) -> None:
    """From the first event to the one that says where to play; then the stream ends."""
    await api.game()
    guest = await api.guest("Ann")
    ticket = await api.ticket(guest)
    async with await api.open("GET", _path(ticket) + "/events", token=guest["access_token"]) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        first = await next_event(stream)
        assert first is not None
        assert (first["event"], first["id"], first["data"]["status"]) == ("status", "1", "QUEUED")
        match = await claim(db, "tanks", ticket)
        api.services.bell.ring("ticket", [ticket["id"]])
        second = await next_event(stream)
        assert second is not None
        assert (second["data"]["status"], second["data"]["match"]) == ("PLACING", match)
        await make_ready(db, "tanks", match)
        third = await next_event(stream)
        assert third is not None
        assert (third["data"]["status"], third["data"]["connection"]["address"]) == ("COMPLETED", "127.0.0.1")
        verify(match_key(SECRET, match), third["data"]["join_token"], match, now_ms() / 1000)
        assert await next_event(stream) is None
    assert await _watched(api, 0)


async def test_a_stream_replays_what_was_missed(api: Api, db: Database) -> None:
    """After Last-Event-ID come the later events; with nothing left to tell, 204; nonsense replays everything."""
    await api.game()
    guest = await api.guest()
    token = guest["access_token"]
    ticket = await api.ticket(guest)
    await make_ready(db, "tanks", await claim(db, "tanks", ticket))
    for last, wanted in (("1", ["2", "3"]), ("2", ["3"]), ("x", ["1", "2", "3"]), ("99", ["1", "2", "3"])):
        path = _path(ticket) + "/events"
        async with await api.open("GET", path, token=token, headers={"Last-Event-ID": last}) as stream:
            seen = []
            while (told := await next_event(stream)) is not None:
                seen.append(told["id"])
        assert seen == wanted
    done = await api.ask("GET", _path(ticket) + "/events", token=token, headers={"Last-Event-ID": "3"})
    assert done.status == 204


async def test_a_ticket_whose_match_failed_waits_on(api: Api, db: Database) -> None:
    """When the server is lost the ticket is queued again, with its wait; a reader sees it by a long poll."""
    await api.game()
    guest = await api.guest()
    ticket = await api.ticket(guest)
    match = await claim(db, "tanks", ticket)
    await make_ready(db, "tanks", match)
    await end(db, "tanks", match, "fail", "server_lost")
    answer = await api.ask("GET", _path(ticket) + "?wait_s=5&after=3", token=guest["access_token"])
    assert (answer.body["status"], answer.body["reason"], answer.body["tries"]) == ("QUEUED", "server_lost", 1)
    assert answer.body["created_at"] == ticket["created_at"]


async def test_a_silent_stream_is_kept_alive(redis_url: str) -> None:
    """While nothing happens there are comments, so that nobody on the way thinks the connection dead."""
    async with open_api(redis_url, heartbeat_s=0.1) as api:
        await api.game()
        guest = await api.guest()
        ticket = await api.ticket(guest)
        async with await api.open("GET", _path(ticket) + "/events", token=guest["access_token"]) as stream:
            await next_event(stream)
            assert await stream.content.readline() == b": still here\n"


async def test_streams_are_bounded(redis_url: str) -> None:
    """A player has so many streams and no more; a replica too."""
    async with open_api(redis_url, streams_per_player=1, streams=2, heartbeat_s=0.1) as api:
        await api.game()
        guests = [await api.guest() for _ in range(3)]
        paths = [_path(await api.ticket(guest)) + "/events" for guest in guests]
        first = await api.open("GET", paths[0], token=guests[0]["access_token"])
        again = await api.ask("GET", paths[0], token=guests[0]["access_token"])
        assert (again.status, again.problem) == (429, "too-many-streams")
        second = await api.open("GET", paths[1], token=guests[1]["access_token"])
        third = await api.ask("GET", paths[2], token=guests[2]["access_token"])
        assert (third.status, third.problem) == (503, "busy")
        first.close()
        second.close()
        await eventually(lambda: _watched(api, 0))
        (await api.open("GET", paths[2], token=guests[2]["access_token"])).close()


async def test_who_waits_is_seen_to_wait(api: Api, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open stream and a plain read are signs of life; the loop tells them all together."""
    monkeypatch.setattr(streams, "SEEN_EVERY_SWEEPS", 10**9)  # the loop's own telling, at another time than ours
    await api.game()
    guests = [await api.guest() for _ in range(3)]
    tickets = [await api.ticket(guest) for guest in guests]
    alive = f"{keys.game('tanks')}:alive"
    for ticket in tickets:
        await db.do("ZADD", alive, 1, ticket["id"])
    await api.ask("GET", _path(tickets[0]), token=guests[0]["access_token"])
    with api.services.streams.watch(("tanks", tickets[1]["id"]), guests[1]["player"], 1):
        await api.services.streams.tell_seen(1000)
    scores = [float(await db.do("ZSCORE", alive, ticket["id"])) for ticket in tickets]
    assert scores == [1000.0, 1000.0, 1.0]


async def test_a_stopping_replica_ends_its_streams(redis_url: str) -> None:
    """At a stop streams end, so that their readers come back elsewhere, and nobody new is let in."""
    async with open_api(redis_url) as api:
        await api.game()
        guest = await api.guest()
        ticket = await api.ticket(guest)
        async with await api.open("GET", _path(ticket) + "/events", token=guest["access_token"]) as stream:
            await next_event(stream)
            api.services.streams.close()
            assert await next_event(stream) is None
        assert (await api.ask("GET", "/readyz")).problem == "stopping"
