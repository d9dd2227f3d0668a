"""Two players of a real match exchange items: over each transport, with a slow Redis, and with everything killed."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import websockets

from core import keys
from core.interactions import Exchange
from core.inventory import Inventories
from core.items import Item
from core.model import Match, Server, Timers
from core.nearby import find_near, position_of
from core.redis.embedded import EmbeddedRedis, embedded_redis
from tests.gamepod.stage import DRAIN_S, GAME, Pod, Stage, TcpPlayer
from tests.gamepod.test_arena_match import UdpPlayer, ports_of
from tests.support import eventually, free_port, patient_database

ARENA = Server(arena={"trade_range_m": 5000})
SHELLS, KITS = [Item("shell", 5), Item("sword", id="u1")], [Item("kit", 2)]
OFFER = {"give": {"shell": 2, "sword#u1": 1}, "get": {"kit": 1}}
BEFORE = ({"shell": 5, "sword#u1": 1}, {"kit": 2})
AFTER = ({"kit": 1, "shell": 3}, {"kit": 1, "shell": 2, "sword#u1": 1})


def names(items: list[Item]) -> dict[str, int]:
    return {f"{one.kind}#{one.id}" if one.id else one.kind: one.quantity for one in items}


async def owned(stage: Stage, match: Match) -> tuple[dict[str, int], ...]:
    """What the match's two players have in truth; inventories and audit must agree."""
    items = Inventories(stage.db, GAME)
    assert await items.rebuild() == {}
    return tuple([names(await items.inventory(seat.id)) for seat in match.players])


async def two(stage: Stage, server: Server = ARENA) -> tuple[Match, Pod, TcpPlayer, TcpPlayer]:
    """A match of two who have items, and have been told which."""
    match = await stage.match(server, timers=Timers(join_s=60, empty_s=60, drain_s=DRAIN_S))
    items = Inventories(stage.db, GAME)
    for seat, some in zip(match.players, (SHELLS, KITS), strict=True):
        await items.grant(seat.id, some)
    pod = stage.start(match)
    found = await stage.reached(match, "RUNNING")
    ann, bob = [await TcpPlayer.join(match, found, stage.token(match, seat)) for seat in range(2)]
    await ann.has(BEFORE[0])
    await bob.has(BEFORE[1])
    return match, pod, ann, bob


async def agree(ann: TcpPlayer, bob: TcpPlayer) -> None:
    """Both agree on the exchange; returns when its outcome is up to Redis."""
    ann.command("offer", to=bob.slot, **OFFER)
    offer = await bob.trade("offered")
    bob.command("accept", offer=offer["offer"])
    await ann.trade("accepted")


async def test_items_change_hands(stage: Stage) -> None:
    """Offered and accepted: both are told, have what they agreed on, and the log, the state and the audit show it."""
    match, pod, ann, bob = await two(stage)
    await agree(ann, bob)
    for player, items in zip((ann, bob), AFTER, strict=True):
        await player.trade("done")
        await player.has(items)
    assert await owned(stage, match) == AFTER
    (moved,) = await Inventories(stage.db, GAME).audit(match.players[0].id, limit=1)
    assert (moved.match, moved.by, moved.b) == (match.id, match.players[0].id, match.players[1].id)
    base = keys.shard(GAME, match.players[0].id)

    async def shown() -> bool:
        state = await stage.db.do("HGETALL", f"{base}:player:{match.players[0].id}")
        return json.loads(state.get("items", "{}")) == AFTER[0] and "exchange:" in state["last_actions"]

    await eventually(shown)
    accepted = await ann.settled()
    pod.process.terminate()
    await stage.reached(match, "ENDED")
    (row,) = [one for one in await stage.logged(match) if isinstance(one, Exchange)]
    assert (row.exchange, row.gave, row.got, accepted) == (moved.id, "shell:2,sword#u1:1", "kit:1", 1)
    await ann.close()
    await bob.close()


async def test_what_one_does_not_own_is_refused(stage: Stage) -> None:
    """The match believes nobody: the inventories refuse, both are told why, and nothing has changed."""
    match, _, ann, bob = await two(stage)
    ann.command("offer", to=bob.slot, give={"shell": 6}, get={"kit": 1})
    bob.command("accept", offer=(await bob.trade("offered"))["offer"])
    for player in (ann, bob):
        assert (await player.trade("refused"))["reason"] == "not-owned"
    assert await owned(stage, match) == BEFORE
    assert not [one for one in await stage.logged(match) if isinstance(one, Exchange)]
    await ann.close()
    await bob.close()


async def test_over_udp_and_websocket(stage: Stage) -> None:
    """A datagram client offers, a browser accepts, and both hear that it was done."""
    match = await stage.match(ARENA, timers=Timers(join_s=60, empty_s=60, drain_s=DRAIN_S))
    await Inventories(stage.db, GAME).grant(match.players[0].id, SHELLS)
    stage.start(match)
    ports = ports_of(await stage.reached(match, "RUNNING"))
    address = ("127.0.0.1", ports["udp"])
    transport, udp = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: UdpPlayer(stage.token(match, 0)), remote_addr=address
    )
    await udp.heard("welcome")
    async with websockets.connect(f"ws://127.0.0.1:{ports['ws']}/ws") as page:
        await page.send(json.dumps({"type": "join", "token": stage.token(match, 1)}))
        slot = json.loads(await page.recv())["slot"]
        assert (await udp.heard("inventory"))["items"] == BEFORE[0]
        state, items = "", {}
        async for text in page:
            message = json.loads(text)
            if message["type"] == "inventory" and not message["items"]:  # he can be given something now
                offer = {"type": "offer", "to": slot, "give": {"shell": 5}}
                udp.send({"type": "input", "seq": 1, "commands": [offer]})
            if message["type"] == "trade":
                state = message["state"]
                if state == "offered":
                    accept = {"type": "accept", "offer": message["offer"]}
                    await page.send(json.dumps({"type": "input", "seq": 1, "commands": [accept]}))
            if message["type"] == "inventory":
                items = message["items"]
            if state == "done" and items:  # in whichever order they come
                break
    assert items == {"shell": 5}

    async def heard() -> bool:
        return any(told["type"] == "trade" and told["state"] == "done" for told in udp.told)

    await eventually(heard)
    assert await owned(stage, match) == ({"sword#u1": 1}, {"shell": 5})
    transport.close()


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[tuple[EmbeddedRedis, Stage]]:
    """A Valkey of this test's own that acknowledges what is on disk, to be ill-treated, and a stage on it."""
    with embedded_redis(tmp_path / "redis", free_port(), options=["--appendfsync", "always"]) as server:
        async with patient_database(server.url) as db:
            stage = Stage(db, server.url, tmp_path)
            yield server, stage
            stage.close()
        if server.process is not None:
            server.process.send_signal(signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["frozen", "killed"])
async def test_a_slow_redis_delays_the_exchange_alone(own: tuple[EmbeddedRedis, Stage], how: str) -> None:
    """While Redis is away the match plays on; when it is back the exchange is made, once, and told."""
    redis, stage = own
    match, _, ann, bob = await two(stage)
    assert redis.process is not None
    redis.process.send_signal(signal.SIGSTOP)
    await agree(ann, bob)
    await ann.drive_for(20)
    await ann.settled()  # what is played is acknowledged meanwhile
    assert [trade["state"] for trade in ann.trades] == ["offered", "accepted"]
    if how == "killed":
        redis.kill()
        await asyncio.sleep(0.3)
        redis.start()
    else:
        await asyncio.sleep(2.5)  # longer than a call may take: it is sent again
        redis.process.send_signal(signal.SIGCONT)
    await ann.trade("done")
    await bob.has(AFTER[1])
    assert await owned(stage, match) == AFTER
    assert len(await Inventories(stage.db, GAME).audit()) == 3
    await ann.close()
    await bob.close()


@pytest.mark.slow
async def test_a_server_that_dies_leaves_all_or_nothing(own: tuple[EmbeddedRedis, Stage]) -> None:
    """Killed right after both agreed, its word on the way or not: both have what was agreed on, or neither."""
    redis, stage = own
    chance, seen = random.Random(7), set()
    for round_ in range(5):
        match, pod, ann, bob = await two(stage, ARENA)
        frozen = round_ in (0, 2)
        if frozen:
            assert redis.process is not None
            redis.process.send_signal(signal.SIGSTOP)
        await agree(ann, bob)
        await asyncio.sleep((0.3 if frozen else 0.004) * chance.random())
        pod.process.kill()
        pod.process.wait()
        if frozen:
            assert redis.process is not None
            redis.process.send_signal(signal.SIGCONT)
        have = await owned(stage, match)
        assert have in (BEFORE, AFTER)
        seen.add(have == AFTER)
        await ann.close()
        await bob.close()
        for seat in match.players:  # the unique item is free for the next round
            left = await Inventories(stage.db, GAME).inventory(seat.id)
            await Inventories(stage.db, GAME).take(seat.id, left)
    assert seen


async def test_the_end_of_a_match_waits_for_what_was_agreed(stage: Stage) -> None:
    """Stopped in the moment after both agreed, the server tells the outcome and logs it before it goes."""
    match, pod, ann, bob = await two(stage)
    await agree(ann, bob)
    pod.process.terminate()
    await stage.reached(match, "ENDED")
    assert await pod.ended() == 0
    assert await owned(stage, match) == AFTER
    assert len([one for one in await stage.logged(match) if isinstance(one, Exchange)]) == 1
    await ann.close()
    await bob.close()


async def test_positions_of_a_game_that_asks_are_indexed(stage: Stage) -> None:
    """With `near` in its match a server's players are found near each other; without it there is no index."""
    match, _, ann, bob = await two(stage)
    await ann.drive_for(5)
    seat = match.players[0].id

    async def placed() -> bool:
        return bool(await stage.db.do("EXISTS", f"{keys.shard(GAME, seat)}:move:{seat}"))

    await eventually(placed)
    assert not await find_near(stage.db, GAME, *await position_of(stage.db, GAME, seat), radius_m=1000, top=5)
    await ann.close()
    await bob.close()
    match = await stage.match(ARENA, near=True)
    stage.start(match)
    found = await stage.reached(match, "RUNNING")
    players = [await TcpPlayer.join(match, found, stage.token(match, seat)) for seat in range(2)]
    for player in players:
        await player.drive_for(5)
    first, second = (seat.id for seat in match.players)

    async def near() -> bool:
        if not await stage.db.do("EXISTS", f"{keys.shard(GAME, first)}:move:{first}"):
            return False
        place = await position_of(stage.db, GAME, first)
        return [one.player for one in await find_near(stage.db, GAME, *place, radius_m=1000, top=5, but=first)] == [
            second
        ]

    await eventually(near)
    for player in players:
        await player.close()
