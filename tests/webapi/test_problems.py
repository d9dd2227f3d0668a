"""Whatever goes wrong is one problem document, and nothing else suffers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError

from core.redis.embedded import embedded_redis
from tests.support import eventually, free_port
from tests.webapi.support import Api, next_event, open_api


@pytest.mark.parametrize(
    ("data", "content_type", "status", "problem"),
    [
        (b"{", "application/json", 400, "malformed-json"),
        (b"", "application/json", 400, "malformed-json"),
        (b'{"name": "\xff"}', "application/json", 400, "malformed-json"),
        (b'{"name": "\\ud800", "password": "x"}', "application/json", 400, "malformed-json"),
        (b"[" * 100_000, "application/json", 422, "invalid"),
        (b"null", "application/json", 422, "invalid"),
        (b"name=x", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        (b"{}", "text/plain", 415, "unsupported-media-type"),
        (b'{"name": "' + b"x" * 300_000 + b'"}', "application/json", 413, "too-large"),
    ],
    ids=["open", "empty", "utf-8", "surrogate", "deep", "null", "form", "text", "large"],
)
async def test_a_bad_body_is_refused(api: Api, data: bytes, content_type: str, status: int, problem: str) -> None:
    """Malformed, oversized, of another type: each has its refusal, and the next request is served."""
    answer = await api.ask("POST", "/v1/login", data=data, headers={"Content-Type": content_type})
    assert (answer.status, answer.problem) == (status, problem)
    assert (await api.ask("GET", "/status")).body == "Server is running !"


async def test_what_is_not_there_is_told(api: Api) -> None:
    """An unknown path is 404, a wrong method 405 with what is allowed."""
    assert (await api.ask("GET", "/v2/nothing")).problem == "not-found"
    wrong = await api.ask("PATCH", "/v1/games")
    assert (wrong.status, wrong.problem) == (405, "method-not-allowed")
    assert set(wrong.headers["Allow"].split(",")) == {"GET", "POST"}


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/games?page=2", "page"),
        ("/v1/games/tanks/boards/score?top=many", "top"),
        ("/v1/games/tanks/boards/score?top=101", "top"),
        ("/v1/games/tanks/boards/score?top=1&top=2", "top"),
        ("/v1/games/tanks/boards/score?colour=red", "colour"),
        ("/v1/games/tanks/boards/score?player=" + "x" * 65, "player"),
    ],
)
async def test_a_bad_query_parameter_is_named(api: Api, path: str, pointer: str) -> None:
    """Unknown, doubled or impossible parameters are refused by name."""
    answer = await api.ask("GET", path)
    assert (answer.status, answer.problem, answer.body["pointer"]) == (422, "invalid", pointer)


async def test_our_own_mistakes_tell_nothing_of_the_inside(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unforeseen error is 500 with a request id to find it by, and without its words."""

    async def broken(*_: Any) -> Any:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(api.services.games, "every", broken)
    answer = await api.ask("GET", "/v1/games")
    assert (answer.status, answer.problem) == (500, "internal")
    assert "secret" not in str(answer.body)
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]


async def test_a_stream_that_breaks_inside_ends_its_connection(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a stream is open no problem document can be sent: the reader sees it break, and the service goes on."""
    await api.game()
    guest = await api.guest()
    ticket = await api.ticket(guest)
    path = f"/v1/tickets/tanks/{ticket['id']}/events"
    async with await api.open("GET", path, token=guest["access_token"]) as stream:
        await next_event(stream)

        async def broken(*_: Any) -> Any:
            raise RuntimeError("the secret inside")

        monkeypatch.setattr(api.services.tickets, "read", broken)
        api.services.streams.heard("ticket", [ticket["id"]])
        with pytest.raises(ClientPayloadError):
            await next_event(stream)
    assert (await api.ask("GET", "/status")).status == 200


async def test_a_request_that_takes_too_long_is_given_up(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request has its time; then it is 503 and can be asked again."""
    async with open_api(redis_url, request_s=0.1) as api:

        async def slow(*_: Any) -> Any:
            await asyncio.Event().wait()

        monkeypatch.setattr(api.services.games, "every", slow)
        answer = await api.ask("GET", "/v1/games")
        assert (answer.status, answer.problem) == (503, "timeout")


async def test_only_allowed_origins_may_ask_from_a_browser(redis_url: str) -> None:
    """A browser game of a listed origin is let in, on errors and preflights too; others get no leave."""
    async with open_api(redis_url, cors_origins="https://game.example, https://other.example/") as api:
        here = {"Origin": "https://game.example"}
        for answer in (
            await api.ask("GET", "/v1/games", headers=here),
            await api.ask("GET", "/v1/me", headers=here),
            await api.ask("OPTIONS", "/v1/tickets", headers=here | {"Access-Control-Request-Method": "POST"}),
        ):
            assert answer.headers["Access-Control-Allow-Origin"] == "https://game.example"
        assert answer.status == 204
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        elsewhere = await api.ask("GET", "/v1/games", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in elsewhere.headers


async def test_redis_goes_and_comes_back(tmp_path: Path) -> None:
    """Without Redis what needs it is 503 with a time to come back, the rest goes on, and streams outlive it."""
    with embedded_redis(tmp_path, free_port(), options=("--appendfsync", "always")) as redis:
        async with open_api(redis.url, heartbeat_s=0.1) as api:
            await api.game()
            guest = await api.guest()
            token = guest["access_token"]
            ticket = await api.ticket(guest)
            path = f"/v1/tickets/tanks/{ticket['id']}"
            async with await api.open("GET", path + "/events", token=token) as stream:
                await next_event(stream)
                redis.kill()
                for method, asked, body in (
                    ("GET", "/v1/me", None),
                    ("GET", path, None),
                    ("POST", "/v1/guests", {}),
                    ("POST", "/v1/login", {"name": "dev of tanks", "password": "a guess"}),
                    ("GET", "/v1/overview", None),
                    ("GET", "/readyz", None),
                ):
                    answer = await api.ask(method, asked, body, token=token)
                    assert (answer.status, answer.problem) == (503, "storage-unavailable"), asked
                    assert answer.headers["Retry-After"] == "1"
                assert (await api.ask("GET", "/status")).status == 200
                assert (await api.ask("GET", "/healthz")).status == 200
                assert (await api.ask("GET", "/v1/nothing")).status == 404
                redis.start()

                async def back() -> bool:
                    return (await api.ask("GET", "/readyz")).status == 200

                await eventually(back)
                assert (await api.ask("DELETE", path, token=token)).body["status"] == "CANCELLED"
                told = await next_event(stream)
                assert told is not None
                assert told["data"]["status"] == "CANCELLED"


async def test_requests_under_way_outlive_a_restart_of_redis(tmp_path: Path) -> None:
    """While Redis is killed and started under load every request is served or told 503, and no ticket is doubled."""
    with embedded_redis(tmp_path, free_port(), options=("--appendfsync", "always")) as redis:
        async with open_api(redis.url) as api:
            await api.game()
            guests = [await api.guest() for _ in range(20)]
            done = asyncio.Event()

            async def play(guest: dict[str, Any]) -> set[int]:
                seen = set()
                while not done.is_set():
                    answer = await api.ask(
                        "POST", "/v1/tickets", {"game": "tanks"}, token=guest["access_token"],
                        headers={"Idempotency-Key": "one"},
                    )  # fmt: skip
                    seen.add(answer.status)
                return seen

            playing = [asyncio.ensure_future(play(guest)) for guest in guests]
            for _ in range(2):
                await asyncio.sleep(0.2)
                redis.kill()
                await asyncio.sleep(0.2)
                await asyncio.to_thread(redis.start)

            async def back() -> bool:
                return (await api.ask("GET", "/readyz")).status == 200

            await eventually(back)
            done.set()
            assert set().union(*await asyncio.gather(*playing)) <= {201, 503}
            for guest in guests:
                answer = await api.ask(
                    "POST", "/v1/tickets", {"game": "tanks"}, token=guest["access_token"],
                    headers={"Idempotency-Key": "one"},
                )  # fmt: skip
                assert answer.status == 201
            assert (await api.ask("GET", "/v1/overview")).body["games"][0]["waiting"] == 20
