"""What the auth listener lets nobody have too much of, whom it takes a client for, and how it ends."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs

from core.errors import Misconfigured
from tests.support import eventually
from tests.webapi.support import PASSWORD, held_checks, open_api
from tests.webapi.tcp.door import ANSWER_S, Door, open_door, proxy
from webapi import lines as listener
from webapi.lines import listening_lines

ADA = {"name": "Ada", "password": PASSWORD}


@pytest.mark.parametrize("drip", [b"", b" "], ids=["silent", "a byte now and then"])
async def test_nobody_holds_a_connection_for_nothing(redis_url: str, drip: bytes) -> None:
    """The time is for the whole line: bytes that trickle in do not prolong it."""
    async with open_door(redis_url, auth_idle_s=0.3) as door, door.line() as line:

        async def trickle() -> None:
            while drip:
                await line.say(drip)
                await asyncio.sleep(0.02)

        task = asyncio.create_task(trickle())
        assert (await line.hear())["code"] == "idle"
        assert await line.hear() is None
        task.cancel()
        await asyncio.wait([task])


LOGIN = b'{"type":"login","name":"nobody","password":"x"}\n'
BROKEN_OFF = [b"", b"x", b"x\n", b"x" * 9000, LOGIN * 9, b"[]\n" * 2000, proxy("192.0.2.1"), proxy("192.0.2.1") + LOGIN]


@pytest.mark.parametrize("trusted", [0, 1], ids=["directly", "behind a proxy"])
async def test_who_breaks_off_leaves_nothing_behind(redis_url: str, trusted: int) -> None:
    """A reset at whatever moment ends a connection and is no defect of ours."""
    async with open_door(redis_url, trusted_proxies=trusted, auth_connections_address=4) as door:
        with capture_logs() as lines:
            for said in BROKEN_OFF * 4:
                with socket.create_connection(("127.0.0.1", door.port)) as client:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.sendall(said)
                    await asyncio.sleep(random.choice((0, 0.001, 0.005)))

            async def gone() -> bool:
                return door.count("muster_auth_connections") == 0

            assert await eventually(gone)
        assert not [line for line in lines if line["log_level"] == "error"]


async def test_who_takes_no_answers_is_dropped(redis_url: str) -> None:
    """Answers do not pile up here: the next line is read when the answer before is out of the house."""
    async with open_door(redis_url, auth_idle_s=0.5) as door:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", door.port))
            deaf.setblocking(False)
            said = b'{"type":"login","%s":1}\n' % (b"x" * 8000)  # its name comes back in the answer

            async def shout() -> None:
                async with asyncio.timeout(ANSWER_S):
                    while True:
                        await asyncio.get_running_loop().sock_sendall(deaf, said)

            with pytest.raises(OSError, match=r"(?i)reset|pipe"):
                await shout()

        async def gone() -> bool:
            return door.count("muster_auth_connections") == 0

        assert await eventually(gone)


async def test_lock_outs_hold_for_both_doors(redis_url: str) -> None:
    """Failures over TCP and REST count together, by name and by address."""
    async with open_door(redis_url, login_tries_name=4, login_tries_address=6) as door, door.line() as line:
        await line.ask("register", **ADA)
        wrong = {"name": "ada", "password": "a wrong one"}
        for _ in range(2):
            assert (await line.ask("login", **wrong))["code"] == "wrong-credentials"
            assert (await door.api.ask("POST", "/v1/login", wrong)).problem == "wrong-credentials"
        locked = await line.ask("login", **ADA)
        assert (locked["code"], locked["retry_after_s"] > 0) == ("locked-out", True)
        assert (await door.api.ask("POST", "/v1/login", ADA)).problem == "locked-out"
        for name in ("nobody", "no one"):
            assert (await line.ask("login", name=name, password="a guess"))["code"] == "wrong-credentials"
        assert (await door.api.ask("POST", "/v1/login", {"name": "third", "password": "x"})).problem == "locked-out"


async def test_sign_ups_of_an_address_are_counted_with_those_over_rest(redis_url: str) -> None:
    """A second door does not make a second allowance."""
    async with open_door(redis_url, signups_address=2) as door, door.line() as line:
        await door.api.guest()
        assert (await line.ask("register", **ADA))["ok"] is True
        assert (await line.ask("register", name="Grace", password=PASSWORD))["code"] == "too-many-signups"


async def test_connections_are_bounded(redis_url: str) -> None:
    """One too many is told so and closed, and finds room when another has gone."""
    async with open_door(redis_url, auth_connections=2, auth_connections_address=2) as door:
        async with door.line() as one, door.line() as two:
            for line in (one, two):
                assert (await line.ask("login", **ADA))["code"] == "wrong-credentials"
            async with door.line() as third:
                refused = await third.hear()
                assert (refused["code"], refused["retry_after_s"]) == ("too-many-connections", 1)
                assert await third.hear() is None

        async def served() -> bool:
            async with door.line(b"[]\n") as line:
                return str((await line.hear())["code"]) == "invalid"

        assert await eventually(served)


async def test_connections_of_an_address_are_bounded(redis_url: str) -> None:
    """The bound is the player's, not the proxy's: behind one proxy each has his own."""
    async with (
        open_door(redis_url, auth_connections_address=1, trusted_proxies=1) as door,
        door.line(proxy("192.0.2.1")) as one,
    ):
        assert (await one.ask("login", **ADA))["code"] == "wrong-credentials"
        async with door.line(proxy("192.0.2.1")) as again, door.line(proxy("192.0.2.2")) as other:
            assert (await again.hear())["code"] == "too-many-connections"
            assert await again.hear() is None
            assert (await other.ask("login", **ADA))["code"] == "wrong-credentials"


async def test_failures_are_counted_by_the_address_that_a_trusted_proxy_tells(redis_url: str) -> None:
    """Behind the edge a guesser is locked out, and others who come through it are not."""
    async with open_door(redis_url, login_tries_address=2, trusted_proxies=1) as door:
        async with door.line(proxy("192.0.2.1")) as bad, door.line(proxy("192.0.2.2")) as good:
            await good.ask("register", **ADA)
            for name in ("nobody", "no one"):
                await bad.ask("login", name=name, password="a guess")
            assert (await bad.ask("login", **ADA))["code"] == "locked-out"
            assert (await good.ask("login", **ADA))["ok"] is True
        # The same address over REST, told by X-Forwarded-For.
        there = {"X-Forwarded-For": "192.0.2.1"}
        assert (await door.api.ask("POST", "/v1/login", ADA, headers=there)).problem == "locked-out"


@pytest.mark.parametrize("trust", [{}, {"trusted_proxies": 1, "proxy_networks": "198.51.100.0/24"}])
async def test_a_stranger_who_speaks_as_a_proxy_is_not_believed(redis_url: str, trust: dict[str, str]) -> None:
    """Without a proxy, or from another network than the proxy's: refused, and his own address is what counts."""
    async with open_door(redis_url, login_tries_address=2, **trust) as door:
        for forged in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
            async with door.line(proxy(forged) + b'{"type":"login","name":"nobody","password":"x"}\n') as line:
                assert (await line.hear())["code"] == "proxy-not-trusted"
                assert await line.hear() is None
        async with door.line() as line:
            for code in ("wrong-credentials", "wrong-credentials", "locked-out"):
                assert (await line.ask("login", name="nobody", password="x"))["code"] == code
        headers = {"X-Forwarded-For": "192.0.2.9"}
        answer = await door.api.ask("POST", "/v1/login", {"name": "nobody", "password": "x"}, headers=headers)
        assert answer.problem == "locked-out"


async def test_a_player_cannot_add_a_line_of_his_own_to_the_proxy_s(redis_url: str) -> None:
    """The proxy's line is the first; whatever looks like it later is the player's."""
    async with (
        open_door(redis_url, trusted_proxies=1) as door,
        door.line(proxy("192.0.2.1") + proxy("192.0.2.2")) as line,
    ):
        assert (await line.hear())["code"] == "proxy-not-trusted"
        assert await line.hear() is None


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (b'{"type":"login","name":"nobody","password":"x"}\n', "proxy-line-missing"),
        (b"PROXY TCP4 300.0.0.1 192.0.2.2 1 2\r\n", "proxy-line-malformed"),
        (b"PROXY " + b"x" * 9000 + b"\n", "line-too-long"),
    ],
)
async def test_a_proxy_that_says_nothing_or_nonsense_is_refused(redis_url: str, first: bytes, code: str) -> None:
    """Without knowing whose request it is nothing is done."""
    async with open_door(redis_url, trusted_proxies=1) as door, door.line(first) as line:
        assert (await line.hear())["code"] == code
        assert await line.hear() is None


async def test_a_request_under_way_is_answered_at_the_end(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the process stops, who waits for an answer gets it, all are closed, and nobody else comes in."""
    monkeypatch.setattr(listener, "SHUTDOWN_S", ANSWER_S)
    close = listener.Lines.close
    async with open_api(redis_url, auth_port=0) as api, AsyncExitStack() as clients:
        let_go = clients.enter_context(held_checks(api))

        async def close_first(lines: listener.Lines) -> None:
            asyncio.get_running_loop().call_soon(let_go.set)  # it closes by then
            await close(lines)

        monkeypatch.setattr(listener.Lines, "close", close_first)
        async with listening_lines(api.services) as port:
            assert port is not None
            door = Door(api, port)
            quiet, busy = [await clients.enter_async_context(door.line()) for _ in range(2)]
            assert (await quiet.ask("register", **ADA))["ok"] is True
            # Sent twice: of two lines one is under way, and the other is not begun.
            await busy.say(b'{"type":"login","name":"ada","password":"correct horse"}\n' * 2)

            async def under_way() -> bool:
                return door.count("muster_password_hashes") == 1

            assert await eventually(under_way)
        assert (await busy.hear())["ok"] is True
        assert await busy.hear() is None
        assert await quiet.hear() is None
        with pytest.raises(OSError, match=r"(?i)connect"):
            await asyncio.open_connection("127.0.0.1", port)


async def test_it_is_one_setting_to_have_no_listener(redis_url: str) -> None:
    """And a taken port names the setting that moves it."""
    async with open_api(redis_url, auth_lines=False) as api, listening_lines(api.services) as port:
        assert port is None
    holder = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    taken = holder.sockets[0].getsockname()[1]
    async with open_api(redis_url, auth_port=taken) as api:
        with pytest.raises(Misconfigured, match="MUSTER_WEBAPI_AUTH_PORT"):
            async with listening_lines(api.services):
                raise AssertionError("it listens")
    holder.close()
