"""One stream tells a player of tickets, his party, invitations and play-time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientResponse

from core import keys
from core.clock import now_ms
from core.presence import day_of
from core.redis.client import Database
from tests.support import eventually
from tests.webapi.support import Api, claim, make_ready, next_event, open_api


async def _open(api: Api, who: dict[str, Any], game: str = "tanks") -> ClientResponse:
    response = await api.open("GET", f"/v1/events?game={game}" if game else "/v1/events", token=who["access_token"])
    assert response.status == 200, await response.text()
    return response


async def _next(response: ClientResponse, name: str) -> Any:
    """The next event of this name; others are passed over."""
    async with asyncio.timeout(60):
        while (found := await next_event(response)) is not None:
            if found["event"] == name:
                return found["data"]
    raise AssertionError(f"the stream ended without {name}")


async def _ask(api: Api, method: str, path: str, who: dict[str, Any], body: Any = None) -> Any:
    answer = await api.ask(method, path, body, token=who["access_token"])
    assert answer.status < 300, answer
    return answer.body


async def test_a_party_and_its_ticket_are_told_to_its_members(api: Api, db: Database) -> None:
    """Who joins, who is ready, the ticket that the leader made, and where it is played; then that he was kicked."""
    await api.game()
    ann, bob = await api.guest("Ann"), await api.guest("Bob")
    code = (await _ask(api, "POST", "/v1/parties", ann, {}))["code"]
    await _ask(api, "POST", f"/v1/parties/{code}/join", bob)
    stream = await _open(api, bob, "")
    assert len((await _next(stream, "party"))["members"]) == 2
    for who in (ann, bob):
        await _ask(api, "PUT", f"/v1/parties/{code}/ready", who, {})
    ticket = await api.ticket(ann, party=code)
    told = await _next(stream, "ticket")
    assert (told["id"], told["status"]) == (ticket["id"], "QUEUED")
    match = await claim(db, "tanks", ticket)
    await make_ready(db, "tanks", match)
    api.services.bell.ring("ticket", [ticket["id"]])
    while (told := await _next(stream, "ticket"))["status"] != "COMPLETED":
        pass
    assert told["connection"]["ports"][0]["port"] == 7000
    assert told["join_token"]
    await _ask(api, "POST", f"/v1/parties/{code}/kick", ann, {"player": bob["player"]})
    assert await _next(stream, "party") is None
    stream.close()


async def test_a_stream_begins_with_what_stands(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes back is told of his open ticket without knowing its id; and he keeps it alive."""
    await api.game()
    ann = await api.guest("Ann")
    ticket = await api.ticket(ann)
    await api.ask("DELETE", f"/v1/tickets/tanks/{ticket['id']}", token=ann["access_token"])
    ticket = await api.ticket(ann)
    read: list[object] = []  # what the loop that tells Redis of it takes away again
    monkeypatch.setattr(api.services.streams, "was_read", read.append)
    stream = await _open(api, ann)
    assert (await _next(stream, "ticket"))["id"] == ticket["id"]
    assert ("tanks", ticket["id"]) in read
    await api.ask("DELETE", f"/v1/tickets/tanks/{ticket['id']}", token=ann["access_token"])
    assert (await _next(stream, "ticket"))["status"] == "CANCELLED"
    stream.close()


async def test_invitations_are_told(api: Api) -> None:
    """When they come, and that they are gone."""
    ann, eve = await api.guest("Ann"), await api.account("Eve")
    code = (await _ask(api, "POST", "/v1/parties", ann, {}))["code"]
    stream = await _open(api, eve, "")
    await _ask(api, "POST", f"/v1/parties/{code}/invitations", ann, {"name": "eve"})
    (invitation,) = (await _next(stream, "invitations"))["invitations"]
    assert (invitation["code"], invitation["by"]["name"]) == (code, "Ann")
    await _ask(api, "DELETE", f"/v1/invitations/{code}", eve)
    assert (await _next(stream, "invitations"))["invitations"] == []
    stream.close()


async def test_a_limit_is_warned_of_on_the_stream(redis_url: str, db: Database) -> None:
    """The stream counts as heartbeats, and tells once that the time is nearly over, and once that it is."""
    async with open_api(redis_url, presence_interval_s=0.5, presence_timeout_s=2.0) as api:
        await api.game(play={"daily_min": 60, "warn_min": 15})
        ann = await api.guest("Ann")
        stream = await _open(api, ann)
        first = await _next(stream, "play")
        assert (first["allowed"], first["warn"]) == (True, False)
        base = keys.presence(keys.presence_number(ann["player"]))
        today = f"tanks/{day_of(now_ms(), 0)}"
        await db.do("HSET", f"{base}:days:{ann['player']}", today, 50 * 60_000)
        warned = await _next(stream, "play")
        assert (warned["allowed"], warned["warn"], warned["why"]) == (True, True, "daily")
        await db.do("HSET", f"{base}:days:{ann['player']}", today, 60 * 60_000)
        over = await _next(stream, "play")
        assert (over["allowed"], over["why"]) == (False, "daily")

        async def online() -> bool:
            return (await api.ask("GET", "/v1/games/tanks/online")).body["online"] == 1

        await eventually(online)
        stream.close()


async def test_streams_of_a_player_are_bounded(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A further one is refused; one of a game that is not there, too; and they end when the service does."""
    async with open_api(redis_url, streams_per_player=2) as api:
        ann = await api.guest("Ann")
        streams = [await _open(api, ann, "") for _ in range(2)]
        refused = await api.ask("GET", "/v1/events", token=ann["access_token"])
        assert (refused.status, refused.problem) == (429, "too-many-streams")
        assert (await api.ask("GET", "/v1/events?game=no", token=ann["access_token"])).status == 404
        assert (await api.ask("GET", "/v1/events")).status == 401
        api.services.followers.close()
        for stream in streams:
            while await next_event(stream) is not None:
                pass
