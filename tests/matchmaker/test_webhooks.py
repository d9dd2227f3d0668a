"""Events are delivered to a real receiver that fails, lies and is slow; and never to an address inside."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from core import events, keys, webhook
from core.clock import now_ms
from core.errors import Fenced
from core.redis.client import Database
from matchmaker import outgoing as outgoing_module
from matchmaker.leases import Lease
from matchmaker.metrics import Metrics
from matchmaker.outgoing import Outgoing
from matchmaker.settings import Settings
from matchmaker.shared import Shared
from matchmaker.webhooks import Webhooks
from tests.matchmaker.support import register, spec

SECRET = "a secret of thirty-two bytes or so"
BASE = keys.game("duel")


class Receiver:
    """What a developer runs: it checks signatures, and answers as it is told."""

    def __init__(self, salt: str) -> None:
        self.key = webhook.key(SECRET, "duel", salt)
        self.answers: list[int | str] = []  # to come; then 200
        self.seen: list[list[str]] = []  # ids of the events of each attempt
        self.wrong = 0

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not webhook.verify(self.key, body, request.headers["Muster-Signature"], int(time.time())):
            self.wrong += 1
        document = msgspec.json.decode(body)
        assert document["delivery"] == request.headers["Muster-Delivery"]
        self.seen.append([event["id"] for event in document["events"]])
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, str):
            raise web.HTTPFound(answer)
        if answer == 0:
            await asyncio.sleep(30)
        return web.Response(status=answer, text="as I was told")


@pytest.fixture
async def receiver(db: Database) -> AsyncIterator[Receiver]:
    """A game whose webhook is a receiver on loopback."""
    await register(db, "duel", spec())
    made = Receiver("salt")
    app = web.Application()
    app.router.add_post("/hook", made.take)
    async with TestServer(app) as server:
        await db.call("hook_put", BASE, str(server.make_url("/hook")), "salt")
        yield made


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    """May post to loopback."""
    made = Outgoing(private=True)
    yield made
    await made.close()


async def deliverer(db: Database, outgoing: Outgoing, owner: str = "one") -> Webhooks:
    """The game's webhooks, as the owner of its lease works them."""
    token = (await db.call("lease_take", BASE, owner, 60_000, 0))[0]
    shared: Any = Shared(
        db, None, None, Settings(), Metrics(CollectorRegistry()), secret=SECRET, outgoing=outgoing  # type: ignore[arg-type]
    )  # fmt: skip
    return Webhooks(shared, Lease("duel", token, 0.0))


async def happen(db: Database, *numbers: int) -> list[str]:
    """So many events in the feed; their ids."""
    made = [events.PlayerOnline(f"on-{number}", "duel", "p-1", now_ms()) for number in numbers]
    words = [it for number, event in zip(numbers, made, strict=True) for it in (f"{number}-0", events.encode(event))]
    await db.call("feed_append", BASE, 0, 1000, 60, *words)
    return [event.id for event in made]


async def hook(db: Database) -> dict[str, str]:
    return dict(await db.do("HGETALL", f"{BASE}:hook"))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts are left out; their number stays."""
    pause = webhook.pause_s
    monkeypatch.setattr(webhook, "pause_s", lambda tries, share: None if pause(tries, share) is None else 0.001)


async def drain(hooks: Webhooks) -> None:
    """Work until there is nothing to do."""
    for _ in range(100):
        wait_s = await hooks.step()
        if wait_s > 1:
            return
        await asyncio.sleep(wait_s)
    raise AssertionError("there is no end to it")


async def test_events_are_delivered_in_order(db: Database, receiver: Receiver, outgoing: Outgoing) -> None:
    """Signed, many at once, each once; nothing waits afterwards."""
    hooks = await deliverer(db, outgoing)
    wanted = await happen(db, *range(1, webhook.AT_ONCE + 51))
    await drain(hooks)
    assert [len(ids) for ids in receiver.seen] == [webhook.AT_ONCE, 50]
    assert [it for ids in receiver.seen for it in ids] == wanted
    assert receiver.wrong == 0
    found = await hook(db)
    assert (found["fed"], found["passed"], found["delivered"], found["error"]) == ("250", "250", "250", "")


async def test_a_failure_is_tried_again_later(
    db: Database, receiver: Receiver, outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error, a redirect, which is not followed, or silence, the same events come again, and then the next."""
    hooks = await deliverer(db, outgoing)
    receiver.answers = [500, "/elsewhere", 0]
    first = await happen(db, 1)
    assert 0.7 < await hooks.step() <= 1
    assert (await hook(db))["error"] == "HTTP 500: as I was told"
    await db.do("HSET", f"{BASE}:hook", "due_ms", now_ms() + 60_000)
    assert await hooks.step() > 0  # not before its time
    assert len(receiver.seen) == 1
    for tries, error in ((2, "HTTP 302: 302: Found"), (3, "no answer within 0.5 s")):
        await db.do("HSET", f"{BASE}:hook", "due_ms", 0)
        with monkeypatch.context() as patched:
            if receiver.answers == [0]:  # the others are answered, however late
                patched.setattr(outgoing_module, "ATTEMPT_S", 0.5)
            await hooks.step()
        found = await hook(db)
        assert (found["tries"], found["error"]) == (str(tries), error)
    second = await happen(db, 2)
    await db.do("HSET", f"{BASE}:hook", "due_ms", 0)
    await drain(hooks)
    assert receiver.seen == [first, first, first, first + second]
    assert (await hook(db))["tries"] == "0"


async def test_a_delivery_is_given_up_kept_and_replayed(
    db: Database, receiver: Receiver, outgoing: Outgoing, at_once: None
) -> None:
    """After ten attempts the next one has its turn; replayed it is tried once, and is given up again or delivered."""
    hooks = await deliverer(db, outgoing)
    receiver.answers = [503] * (webhook.TRIES + 1)
    first = await happen(db, 1)
    for _ in range(webhook.TRIES):
        await hooks.step()
        await asyncio.sleep(0.005)
    assert receiver.seen == [first] * webhook.TRIES
    second = await happen(db, 2)
    (dead_id,) = await db.do("HKEYS", f"{BASE}:hook:dead")
    assert await db.call("hook_again", BASE, 10) == 1
    await hooks.step()  # refused once more
    assert await db.do("HKEYS", f"{BASE}:hook:dead") == [dead_id]
    await drain(hooks)
    assert receiver.seen[webhook.TRIES :] == [first, second]
    assert await db.call("hook_again", BASE, 10, dead_id) == 1
    await drain(hooks)
    assert receiver.seen[-1] == first
    assert await db.do("HLEN", f"{BASE}:hook:dead") == 0
    found = await hook(db)
    assert (found["delivered"], found["passed"], found["fed"]) == ("2", "2", "2")


async def test_killed_before_the_note_it_delivers_again(db: Database, receiver: Receiver, outgoing: Outgoing) -> None:
    """The next owner sends the same events, which have ids; whoever was before it is fenced off."""
    one = await deliverer(db, outgoing)
    wanted = await happen(db, 1)
    call = db.call

    async def die(name: str, *given: Any) -> Any:
        if name == "hook_done":
            raise Fenced("killed here")
        return await call(name, *given)

    db.call = die  # type: ignore[method-assign]
    with pytest.raises(Fenced):
        await one.step()
    del db.call  # type: ignore[method-assign]
    await db.call("lease_drop", BASE, "one")
    two = await deliverer(db, outgoing, "two")
    await drain(two)
    assert receiver.seen == [wanted, wanted]
    await happen(db, 2)
    with pytest.raises(Fenced):
        await one.step()


async def test_given_up_deliveries_are_bounded(db: Database, receiver: Receiver) -> None:
    """Beyond the bound the oldest goes, and is counted."""
    token = (await db.call("lease_take", BASE, "one", 60_000, 0))[0]
    at = "0-0"
    for number in range(1, 5):
        args = (token, "dead", at, f"{number}-0", 1, 0, "HTTP 500", f"d{number}", "{}", number, 2)
        assert (await db.call("hook_done", BASE, *args))[0] == "ok"
        at = f"{number}-0"
    assert await db.do("ZRANGE", f"{BASE}:hook:order", 0, -1) == ["d3", "d4"]
    assert sorted(await db.do("HKEYS", f"{BASE}:hook:dead")) == ["d3", "d4"]
    assert int((await hook(db))["lost"]) >= 2


async def test_a_name_that_resolves_inside_is_not_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """However public it looks; the address is looked at when it is used, so a name cannot change in between."""
    connected: list[bool] = []

    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(True)
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: inside)
    for private, wanted in ((False, 0), (True, 1)):
        outgoing = Outgoing(private=private)
        error = await outgoing.post(f"https://hook.example.com:{port}/", b"{}", {})
        assert error
        assert ("not a public address" in error) is not private
        assert len(connected) == wanted
        await outgoing.close()
    outgoing = Outgoing()
    assert await outgoing.post(f"https://127.0.0.1:{port}/", b"{}", {}) == "webhooks go to public addresses only"
    await outgoing.close()
    server.close()
    await server.wait_closed()
