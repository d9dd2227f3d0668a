"""The calls of Agones' conformance set over REST: paths, JSON, codes and errors are the reference's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from gamepod.sdk.metadata import MAX_ANNOTATION_BYTES, MAX_ANNOTATIONS, MAX_LABELS
from gamepod.sdk.rest import LIMITS
from gamepod.sdk.tallies import MAX_CHARS, MAX_PLAYERS, MAX_VALUE_CHARS
from gamepod.sdk.watch_socket import MAX_SOCKETS
from tests.gamepod.sdk.side import Side, side
from tests.support import eventually


@pytest.fixture
async def local() -> AsyncIterator[Side]:
    """A sidecar with the reference's fixture."""
    async with side() as made:
        yield made


async def state(local: Side) -> str:
    return str((await local.call("GET", "/gameserver"))[1]["status"]["state"])


async def test_gameserver_is_the_reference_s(local: Side) -> None:
    """The fixture as a client of the upstream conformance set expects it, with its formats of numbers."""
    status, found = await local.call("GET", "/gameserver")
    assert status == 200
    assert (found["object_meta"]["name"], found["object_meta"]["namespace"]) == ("local", "default")
    assert int(found["object_meta"]["creation_timestamp"]) > 1_700_000_000
    assert found["status"]["state"] == "Ready"
    assert found["status"]["ports"] == [{"name": "default", "port": 7777}]
    assert found["status"]["counters"] == {"rooms": {"count": "1", "capacity": "10"}}
    assert found["status"]["lists"] == {"players": {"capacity": "100", "values": ["test0", "test1", "test2"]}}
    assert found["spec"]["health"]["period_seconds"] == 5


async def test_ready_allocate_reserve_health_shutdown(local: Side) -> None:
    """The life of a server as its game tells it, and what it may not tell any more after its end."""
    for path, after in (("/allocate", "Allocated"), ("/ready", "Ready"), ("/reserve", "Reserved")):
        assert await local.call("POST", path, {}) == (200, {})
        assert await state(local) == after
    assert await local.call("POST", "/reserve", {"seconds": "1"}) == (200, {})

    async def ready() -> bool:
        return await state(local) == "Ready"

    await eventually(ready)
    assert await local.call("POST", "/reserve", raw=b"") == (200, {})  # without a body: for ever
    assert (await local.call("GET", "/gameserver"))[1]["spec"]["health"]["disabled"] is True
    assert await local.call("POST", "/health", {}) == (200, {})
    assert (await local.call("GET", "/gameserver"))[1]["spec"]["health"]["disabled"] is False
    assert (await local.call("POST", "/health"))[0] == 400
    assert (await local.call("POST", "/reserve", {"seconds": -1}))[1]["code"] == 3
    assert await local.call("POST", "/shutdown", {}) == (200, {})
    assert await local.call("POST", "/shutdown", {}) == (200, {})
    status, refused = await local.call("POST", "/ready", {})
    assert (status, refused["code"]) == (400, 9)
    assert "Shutdown" in refused["message"]


async def test_setlabel_and_setannotation(local: Side) -> None:
    """Both are kept under Agones' prefix; a form that Kubernetes would not take is INVALID_ARGUMENT."""
    assert await local.call("PUT", "/metadata/label", {"key": "timestamp", "value": "123"}) == (200, {})
    assert await local.call("PUT", "/metadata/annotation", {"key": "UID", "value": "any text\n"}) == (200, {})
    meta = (await local.call("GET", "/gameserver"))[1]["object_meta"]
    assert meta["labels"]["agones.dev/sdk-timestamp"] == "123"
    assert meta["annotations"]["agones.dev/sdk-UID"] == "any text\n"
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("label", {"key": "a b", "value": "x"}),
        ("label", {"key": "a", "value": "x y"}),
        ("label", {"key": "a" * 60, "value": "x"}),
        ("label", {"key": "a", "value": "x" * 64}),
        ("label", {"value": 3, "key": "a"}),
        ("label", {}),
        ("annotation", {"key": "a/b", "value": "x"}),
    ]
    for what, body in wrong:
        status, refused = await local.call("PUT", f"/metadata/{what}", body)
        assert (status, refused["code"]) == (400, 3), body
    assert (await local.call("POST", "/metadata/label", {"key": "a", "value": "b"}))[0] == 501
    assert (await local.call("GET", "/gameserver"))[1]["object_meta"]["labels"] == meta["labels"]


async def test_counters(local: Side) -> None:
    """Counters are read, set, added to and bounded; numbers are strings, and both spellings are read."""
    rooms = "/v1beta1/counters/rooms"
    assert await local.call("GET", rooms) == (200, {"name": "rooms", "count": "1", "capacity": "10"})
    assert (await local.call("PATCH", rooms, {"countDiff": "2"}))[1]["count"] == "3"
    assert (await local.call("PATCH", rooms, {"count_diff": -1}))[1]["count"] == "2"
    assert (await local.call("PATCH", rooms, {"count": "9", "other": 1}))[1]["count"] == "9"
    assert (await local.call("PATCH", rooms, {"capacity": "5"}))[1] == {"name": "rooms", "count": "5", "capacity": "5"}
    for body in ({"count": "6"}, {"countDiff": "1"}, {"count": -1}, {"capacity": -1}, {}):
        status, refused = await local.call("PATCH", rooms, body)
        assert (status, refused["code"]) == (500, 2), body
    for body in ({"count": "x"}, {"count": 1.5}, {"count": True}, {"count": str(2**63)}):
        assert (await local.call("PATCH", rooms, body))[1]["code"] == 3, body
    assert (await local.call("GET", "/v1beta1/counters/nope"))[1]["message"] == "counter not found: nope"
    assert (await local.call("GET", rooms))[1]["count"] == "5"


async def test_lists(local: Side) -> None:
    """Lists are read, added to, taken from and patched, and bounded by their capacity."""
    players = "/v1beta1/lists/players"
    found = (await local.call("GET", players))[1]
    assert found == {"name": "players", "capacity": "100", "values": ["test0", "test1", "test2"]}
    assert (await local.call("POST", f"{players}:addValue", {"value": "x"}))[1]["values"][-1] == "x"
    assert (await local.call("POST", f"{players}:addValue", {"value": "x"}))[0] == 500
    assert (await local.call("POST", f"{players}:removeValue", {"value": "test1"}))[1]["values"] == [
        "test0",
        "test2",
        "x",
    ]
    assert (await local.call("POST", f"{players}:removeValue", {"value": "test1"}))[1]["code"] == 2
    assert (await local.call("PATCH", players, {"capacity": "2"}))[1]["values"] == ["test0", "test2"]
    full, refused = await local.call("POST", f"{players}:addValue", {"value": "y"})
    assert (full, refused["code"]) == (500, 2)
    patched = await local.call("PATCH", f"{players}?updateMask=values", {"capacity": "50", "values": ["a"]})
    assert patched == (200, {"name": "players", "capacity": "2", "values": ["a"]})
    for body in ({"capacity": "1001"}, {"capacity": -1}, {}, {"other": 1}):
        assert (await local.call("PATCH", players, body))[1]["code"] == 2, body
    assert (await local.call("GET", "/v1beta1/lists/nope"))[1]["message"] == "list not found: nope"
    assert (await local.call("DELETE", players))[0] == 501


async def test_players(local: Side) -> None:
    """Players connect and disconnect once each, up to the capacity that the game sets."""
    base = "/alpha/player"
    assert (await local.call("POST", f"{base}/connect", {"playerID": "ada"}))[0] == 500  # no capacity yet
    assert await local.call("PUT", f"{base}/capacity", {"count": "1"}) == (200, {})
    assert await local.call("GET", f"{base}/capacity") == (200, {"count": "1"})
    assert await local.call("POST", f"{base}/connect", {"playerID": "ada"}) == (200, {"bool": True})
    assert await local.call("POST", f"{base}/connect", {"playerID": "ada"}) == (200, {"bool": False})
    assert (await local.call("POST", f"{base}/connect", {"playerID": "bob"}))[1]["code"] == 2
    assert await local.call("GET", f"{base}/connected/ada") == (200, {"bool": True})
    assert await local.call("GET", f"{base}/connected") == (200, {"list": ["ada"]})
    assert await local.call("GET", f"{base}/count") == (200, {"count": "1"})
    document = (await local.call("GET", "/gameserver"))[1]
    assert document["status"]["players"] == {"count": "1", "capacity": "1", "ids": ["ada"]}
    assert await local.call("POST", f"{base}/disconnect", {"playerID": "ada"}) == (200, {"bool": True})
    assert await local.call("POST", f"{base}/disconnect", {"playerID": "ada"}) == (200, {"bool": False})
    assert await local.call("GET", f"{base}/connected/ada") == (200, {"bool": False})
    assert (await local.call("GET", f"{base}/nothing"))[0] == 404
    assert (await local.call("POST", f"{base}/connect", {}))[1]["code"] == 3


async def test_watch_is_a_stream_of_lines(local: Side) -> None:
    """A watcher is told the server at once, and after each change, one document a line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", local.ports.rest)
    writer.write(b"GET /watch/gameserver HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"chunked" in head

    async def told() -> dict[str, Any]:
        size = int(await reader.readline(), 16)
        line = await reader.readexactly(size + 2)
        return dict(json.loads(line)["result"])

    assert (await told())["status"]["state"] == "Ready"
    await local.call("POST", "/allocate", {})
    assert (await told())["status"]["state"] == "Allocated"
    await local.call("PUT", "/metadata/label", {"key": "a", "value": "b"})
    assert (await told())["object_meta"]["labels"]["agones.dev/sdk-a"] == "b"
    writer.close()


async def test_watch_is_a_websocket_on_the_same_path(local: Side) -> None:
    """The same messages as text frames; one watcher more than the bound is turned away."""
    url = f"ws://127.0.0.1:{local.ports.rest}/watch/gameserver"
    async with connect(url) as first:
        assert json.loads(await first.recv())["result"]["status"]["state"] == "Ready"
        others = [await connect(url) for _ in range(MAX_SOCKETS - 1)]
        with pytest.raises((OSError, EOFError, WebSocketException)):
            await connect(url, open_timeout=5)
        await local.call("PUT", "/alpha/player/capacity", {"count": "7"})
        assert json.loads(await first.recv())["result"]["status"]["players"]["capacity"] == "7"
        for other in others:
            await other.close()
    async with connect(url) as again:
        assert json.loads(await again.recv())["result"]["status"]["players"]["capacity"] == "7"


async def test_what_a_game_keeps_is_bounded(local: Side) -> None:
    """Labels, annotations, values and players have named bounds, and a refusal changes nothing."""
    metadata, tallies = local.sdk.metadata, local.sdk.tallies
    for number in range(MAX_LABELS + 1):
        status, refused = await local.call("PUT", "/metadata/label", {"key": f"k{number}", "value": "v"})
    assert (status, refused["code"]) == (429, 8)
    assert len(metadata.labels) == MAX_LABELS + 1
    assert (await local.call("PUT", "/metadata/label", {"key": "k0", "value": "new"}))[0] == 200
    large = "x" * (LIMITS.max_body_bytes - 100)
    kept = [(await local.call("PUT", "/metadata/annotation", {"key": f"a{n}", "value": large}))[0] for n in range(3)]
    assert kept == [200, 200, 429]
    assert sum(map(len, metadata.annotations.values())) <= MAX_ANNOTATION_BYTES
    assert (await local.call("PUT", "/metadata/annotation", {"key": "a0", "value": ""}))[0] == 200
    assert (await local.call("PUT", "/metadata/annotation", {"key": "a2", "value": large}))[0] == 200
    for number in range(MAX_ANNOTATIONS):
        status, _ = await local.call("PUT", "/metadata/annotation", {"key": f"s{number}", "value": ""})
    assert status == 429
    long = {"value": "v" * (MAX_VALUE_CHARS + 1)}
    assert (await local.call("POST", "/v1beta1/lists/players:addValue", long))[0] == 429
    tallies.set_player_capacity(10**9)
    for number in range(MAX_PLAYERS):
        assert tallies.connect(f"p{number}")
    assert (await local.call("POST", "/alpha/player/connect", {"playerID": "more"}))[0] == 429
    assert 4 * LIMITS.max_body_bytes * 4 > MAX_CHARS  # one document of all of it stays small


async def test_a_flood_is_served_in_order_and_a_large_body_is_not_read(local: Side) -> None:
    """100,000 label writes, some over the wire, are one label and one waiting word; a 10 MB annotation is refused."""
    told = local.sdk.watch()
    await anext(told)
    for number in range(99_000):
        local.sdk.set_label("n", str(number))
    body = b'{"key":"n","value":"%d"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", local.ports.rest)
    for number in range(99_000, 100_000, 10):
        for more in range(10):
            data = body % (number + more)
            writer.write(b"PUT /metadata/label HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))
        for _ in range(10):
            assert b"200" in await reader.readuntil(b"\r\n\r\n{}")
    writer.close()
    labels = (await local.call("GET", "/gameserver"))[1]["object_meta"]["labels"]
    assert labels == {"islocal": "true", "agones.dev/sdk-n": "99999"}
    assert (await anext(told))["object_meta"]["labels"] == labels  # who did not read was not written to
    await told.aclose()
    reader, writer = await asyncio.open_connection("127.0.0.1", local.ports.rest)
    writer.write(b"PUT /metadata/annotation HTTP/1.1\r\nContent-Length: 10485760\r\n\r\n" + b"x" * 65_536)
    assert b" 413 " in await reader.readline()
    writer.close()
    assert (await local.call("GET", "/healthz"))[0] == 200


async def test_bad_requests_are_refused_in_words(local: Side) -> None:
    """Wrong JSON, wrong types and unknown paths are errors in the gateway's form, and harm nothing."""
    before = (await local.call("GET", "/gameserver"))[1]
    for path, raw in (("/ready", b"[1]"), ("/ready", b"{"), ("/reserve", b'{"seconds":"soon"}')):
        status, refused = await local.call("POST", path, raw=raw)
        assert (status, refused["code"]) == (400, 3)
        assert refused["details"] == []
    assert await local.call("GET", "/nope") == (404, {"code": 5, "message": "Not Found", "details": []})
    assert (await local.call("PUT", "/ready", {}))[1]["code"] == 12
    assert (await local.call("GET", "/gameserver"))[1] == before
