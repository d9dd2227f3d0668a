"""A game's events for its developer: the stream, and the webhook as it is set, looked at and replayed."""

from __future__ import annotations

from typing import Any

import msgspec

from core import events, keys
from core.clock import now_ms
from core.redis.client import Database
from core.webhook import Dead, key
from tests.webapi.support import SECRET, Api, next_event, open_api


async def _feed(db: Database, number: int, game: str = "tanks") -> str:
    """What settling does: put an event into the feed; returns its id."""
    event = events.PlayerOffline(f"off-{game}-p-{number}-0", game, f"p-{number}", now_ms(), 0, 1000)
    added = await db.call("feed_append", keys.game(game), 0, 1000, 60, f"{number}-0", events.encode(event))
    assert added == 1
    return event.id


async def _ids(response: Any, count: int) -> list[tuple[str, str]]:
    """Places and ids of the next events."""
    found = [await next_event(response) for _ in range(count)]
    return [(it["id"], it["data"]["id"]) for it in found if it is not None]


async def test_the_stream_tells_what_happens_from_now_on(api: Api, db: Database) -> None:
    """And what was missed, to who says what came last; an id that is none is told."""
    developer = await api.game()
    token, path = developer["access_token"], "/v1/games/tanks/events"
    await _feed(db, 1)
    response = await api.open("GET", path, token=token)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert (await response.content.readline()).startswith(b"retry")
    wanted = [await _feed(db, number) for number in (2, 3)]
    api.services.bell.ring("feed", ["tanks"])
    seen = await _ids(response, 2)
    assert [it for _, it in seen] == wanted
    response.close()
    again = await api.open("GET", path, token=token, headers={"Last-Event-ID": seen[0][0]})
    assert await _ids(again, 1) == seen[1:]
    again.close()
    everything = await api.open("GET", path, token=token, headers={"Last-Event-ID": "0-0"})
    assert len(await _ids(everything, 3)) == 3
    everything.close()
    wrong = await api.ask("GET", path, token=token, headers={"Last-Event-ID": "x"})
    assert (wrong.status, wrong.body["pointer"]) == (422, "Last-Event-ID")


async def test_streams_and_webhooks_are_their_developers(api: Api) -> None:
    """Players and other developers are refused; an admin's concern is every game's."""
    await api.game()
    player, other = await api.guest(), await api.account("another", "developer")
    for method, path, body in (
        ("GET", "events", None),
        ("GET", "webhook", None),
        ("PUT", "webhook", {"url": "https://example.com/"}),
        ("DELETE", "webhook", None),
        ("GET", "webhook/dead", None),
        ("POST", "webhook/dead/replay", {}),
    ):
        for who, status in ((player, 403), (other, 403)):
            answer = await api.ask(method, f"/v1/games/tanks/{path}", body, token=who["access_token"])
            assert (answer.status, answer.problem) == (status, "forbidden" if who is player else "not-yours")


async def test_a_webhook_is_set_and_tells_its_secret_once(api: Api, db: Database) -> None:
    """What happens from then on waits for it; a new URL has a new secret and takes over what waits."""
    developer = await api.game()
    token, path = developer["access_token"], "/v1/games/tanks/webhook"
    assert (await api.ask("GET", path, token=token)).problem == "no-webhook"
    inside = await api.ask("PUT", path, {"url": "https://10.0.0.1/"}, token=token)
    assert (inside.status, inside.body["pointer"]) == (422, "/url")
    await _feed(db, 1)
    first = (await api.ask("PUT", path, {"url": "https://example.com/a"}, token=token)).body
    assert (first["url"], first["waiting"]) == ("https://example.com/a", 0)
    salt = await db.do("HGET", f"{keys.game('tanks')}:hook", "salt")
    assert first["secret"] == key(SECRET, "tanks", salt)
    await _feed(db, 2)
    read = (await api.ask("GET", path, token=token)).body
    assert (read["waiting"], "secret" in read) == (1, False)
    second = (await api.ask("PUT", path, {"url": "https://example.com/b"}, token=token)).body
    assert second["secret"] != first["secret"]
    assert second["waiting"] == 1
    assert (await api.ask("DELETE", path, token=token)).status == 204
    assert (await api.ask("GET", path, token=token)).problem == "no-webhook"


async def test_deliveries_that_were_given_up_are_looked_at_and_replayed(api: Api, db: Database) -> None:
    """All, or those that are named; a name that is not there is passed over."""
    developer = await api.game()
    token, path = developer["access_token"], "/v1/games/tanks/webhook"
    await api.ask("PUT", path, {"url": "https://example.com/"}, token=token)
    base = keys.game("tanks")
    for number in range(3):
        dead = Dead(f"{number}-0", 1000 + number, 10, "HTTP 500", [msgspec.Raw(b'{"id":"e"}')])
        await db.do("HSET", f"{base}:hook:dead", dead.id, msgspec.json.encode(dead))
        await db.do("ZADD", f"{base}:hook:order", dead.at_ms, dead.id)
    found = (await api.ask("GET", f"{path}/dead", token=token)).body["deliveries"]
    assert [(it["id"], it["error"], it["events"]) for it in found] == [
        (f"{number}-0", "HTTP 500", [{"id": "e"}]) for number in range(3)
    ]
    named = await api.ask("POST", f"{path}/dead/replay", {"ids": ["1-0", "nothing"]}, token=token)
    assert named.body == {"replayed": 1}
    assert (await api.ask("POST", f"{path}/dead/replay", {}, token=token)).body == {"replayed": 2}
    assert (await api.ask("GET", path, token=token)).body["dead"] == 0
    assert await db.do("LLEN", f"{base}:hook:again") == 3


async def test_addresses_inside_where_the_operator_allows_them(redis_url: str) -> None:
    """A laptop's developer has his receiver there."""
    async with open_api(redis_url, webhook_private=True) as api:
        developer = await api.game()
        body = {"url": "http://127.0.0.1:9000/hook"}
        answer = await api.ask("PUT", "/v1/games/tanks/webhook", body, token=developer["access_token"])
        assert answer.status == 200
