"""What gets through, to whom, and who does not."""

from __future__ import annotations

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from core import keys
from core.model import OpenPort
from core.redis.client import Database
from tests.support import eventually
from tests.webapi.relay.ground import Ground, Open, closed
from tests.webapi.support import SECRET, claim, end, make_ready


@pytest.fixture
async def ground(open_ground: Open) -> Ground:
    """A running match, and webapi with its defaults."""
    return await open_ground()


async def test_a_token_of_a_server_that_was_there_before_its_match(ground: Ground, db: Database) -> None:
    """Such a server's join tokens are under a key of its own name: the relay takes these, and no other server's."""
    await db.do("HSET", keys.match("tanks", ground.match), "standby", "w-1")
    async with ground.enter(token=ground.join_token(server="w-1")) as client:
        await client.send("by its server's key")
        assert await client.recv() == "by its server's key"
    with pytest.raises(InvalidStatus) as refused:
        await connect(ground.url(f"?token={ground.join_token(server='w-2')}"), proxy=None)
    assert refused.value.response.status_code == 401


async def test_while_a_secret_is_changed_tokens_of_both_get_in(open_ground: Open, db: Database) -> None:
    """Signed with the new one or the old one, under the match's key or its server's; and with no third."""
    new = "a new secret of thirty-two bytes."
    ground = await open_ground(signing_secrets=f"{new},{SECRET}")
    await db.do("HSET", keys.match("tanks", ground.match), "standby", "w-1")
    for secret in (new, SECRET):
        for server in ("", "w-1"):
            async with ground.enter(token=ground.join_token(server=server, secret=secret)) as client:
                await client.send("let in")
                assert await client.recv() == "let in"
    with pytest.raises(InvalidStatus) as refused:
        await connect(ground.url(f"?token={ground.join_token(secret='x' * 32)}"), proxy=None)
    assert refused.value.response.status_code == 401


async def test_a_websocket_reaches_the_game_as_it_is(ground: Ground) -> None:
    """Texts, bytes, fragments and pings get through both ways; the game learns the origin and address of its player."""
    async with ground.enter() as client:
        assert client.subprotocol == "muster.v1"
        for message in ("a text", b"bytes", "x" * 60_000):
            await client.send(message)
            assert await client.recv() == message
        await client.send(["in ", "three ", "pieces"])
        assert await client.recv() == "in three pieces"
        await (await client.ping())
    assert ground.paths == ["/ws"]
    assert ground.headers[0]["Origin"] == "https://game.example"
    assert ground.headers[0]["X-Forwarded-For"] == "127.0.0.1"
    assert "Sec-WebSocket-Extensions" not in ground.headers[0]
    assert "muster" not in ground.headers[0].get("Sec-WebSocket-Protocol", "")

    async def told() -> bool:
        return ground.ended == [1000]

    assert await eventually(told)


async def test_the_game_s_own_subprotocol_path_and_close_code_get_through(ground: Ground) -> None:
    """What the game chose is answered, the path is the one asked for, and how the game ends it the client is told."""

    async def refuse(socket: object) -> None:
        await socket.close(4007, "not today")  # type: ignore[attr-defined]

    ground.speak = refuse
    async with ground.enter("?path=/play", more=("duel.v2",)) as client:
        assert client.subprotocol == "duel.v2"
        assert await closed(client) == (4007, "not today")
    assert ground.paths == ["/play"]


async def test_a_tcp_port_is_reached_by_binary_messages(ground: Ground) -> None:
    """Bytes go in and come out in order; the end of the game's connection is a normal close."""
    async with ground.enter("?port=raw") as client:
        assert client.subprotocol == "muster.v1"
        sent, found = bytes(range(256)) * 200, b""
        await client.send(sent)
        while len(found) < len(sent):
            piece = await client.recv()
            assert isinstance(piece, bytes)
            found += piece
        assert found == sent

    async def once(reader: object, writer: object) -> None:
        writer.write(b"bye")  # type: ignore[attr-defined]

    ground.talk = once
    async with ground.enter("?port=raw") as client:
        assert await client.recv() == b"bye"
        with pytest.raises(ConnectionClosedOK):
            await client.recv()


async def test_a_text_to_a_tcp_port_is_refused(ground: Ground) -> None:
    """1003 says that it takes binary messages."""
    async with ground.enter("?port=raw") as client:
        await client.send("a text")
        assert (await closed(client))[0] == 1003


async def test_each_way_to_bring_a_token(ground: Ground) -> None:
    """An access token in a header or a subprotocol; a join token there, or in the address."""
    bearer = {"Authorization": f"Bearer {ground.access}"}
    async with connect(ground.url(), additional_headers=bearer, proxy=None) as client:
        assert client.subprotocol is None
        await client.send("by header")
        assert await client.recv() == "by header"
    for connecting in (
        ground.enter(token=ground.join_token()),
        connect(ground.url(f"?token={ground.join_token()}"), proxy=None),
    ):
        async with connecting as client:
            await client.send("by join token")
            assert await client.recv() == "by join token"


async def test_nobody_else_gets_in(ground: Ground) -> None:
    """No token, an access token in the address, another's token, one of another match, an admin: each is refused."""
    other = await ground.api.guest("Eve")
    boss = await ground.api.account("the boss")
    await ground.api.services.accounts.change_role(await ground.api.services.accounts.read(boss["player"]), "admin")
    boss = (await ground.api.ask("POST", "/v1/login", {"name": "the boss", "password": "correct horse"})).body
    cases = [
        ("", "", 401, "token-missing"),
        (f"?token={ground.access}", "", 401, "join-forged"),
        ("", "nonsense", 401, "invalid-token"),
        ("", other["access_token"], 404, "no-such-match"),
        ("", boss["access_token"], 404, "no-such-match"),
        ("", ground.join_token(player=other["player"]), 404, "no-such-match"),
        ("", ground.join_token(match="m-" + "0" * 26), 401, "invalid-token"),
    ]
    for query, token, status, code in cases:
        answer = await ground.api.ask("GET", ground.path + query, token=token)
        assert (answer.status, answer.problem) == (status, code), (query, token)
    assert ground.paths == []


async def test_tokens_are_not_logged(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever offers subprotocols without ours is refused before a library could write them to a log."""
    headers = {"Sec-WebSocket-Protocol": f"muster.token.{ground.access}"}
    answer = await ground.api.ask("GET", ground.path, headers=headers)
    assert (answer.status, answer.problem) == (422, "invalid")
    for query in ("", "?port=raw"):
        async with ground.enter(query):
            pass
    assert ground.access not in caplog.text


async def test_what_leads_nowhere_is_said(ground: Ground) -> None:
    """An unknown port, one that speaks UDP, a bad path, no handshake: each is a problem of its own."""
    for query, status, code in (
        ("?port=lobby", 404, "no-such-port"),
        ("?port=udp", 409, "not-relayed"),
        ("?path=//x%0d%0aHost:%20y", 422, "invalid"),
        ("?path=/x%0a", 422, "invalid"),  # `$` alone matches before a last line feed
        ("?address=10.0.0.1", 422, "invalid"),
        ("", 422, "no-websocket"),
        ("?port=raw", 422, "no-websocket"),
    ):
        answer = await ground.api.ask("GET", ground.path + query, token=ground.access)
        assert (answer.status, answer.problem) == (status, code), query


async def test_a_match_that_is_not_running_has_no_way_in(ground: Ground) -> None:
    """Before it is ready and after its end it is as if it did not exist."""
    player = await ground.api.guest("Bob")
    match = await claim(ground.db, "tanks", await ground.api.ticket(player))
    path = f"/v1/matches/tanks/{match}/ws"
    assert (await ground.api.ask("GET", path, token=player["access_token"])).problem == "no-such-match"
    await make_ready(ground.db, "tanks", match, OpenPort("udp", "udp", 7000))
    assert (await ground.api.ask("GET", path, token=player["access_token"])).problem == "not-relayed"
    await end(ground.db, "tanks", match)
    assert (await ground.api.ask("GET", path, token=player["access_token"])).problem == "no-such-match"
