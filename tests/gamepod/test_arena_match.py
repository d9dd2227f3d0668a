"""The built-in arena as a real process on a real Valkey: ready, played, over."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from typing import cast

import websockets

from core import keys
from core.model import Match, Server, Timers
from core.report import read_report, standings
from tests.gamepod.stage import GAME, Stage, TcpPlayer
from tests.support import eventually

ARENA = Server(arena={})


def ports_of(found: dict[str, str]) -> dict[str, int]:
    return {port["protocol"]: port["port"] for port in json.loads(found["connection"])["ports"]}


class UdpPlayer(asyncio.DatagramProtocol):
    """Joins over UDP, answers the challenge, and keeps what it is told."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.told: list[dict[str, object]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.send({"type": "join", "token": self.token})

    def datagram_received(self, data: bytes, addr: object) -> None:
        message = json.loads(data)
        self.told.append(message)
        if message["type"] == "challenge":
            self.send({"type": "join", "token": self.token, "cookie": message["cookie"]})

    def send(self, message: dict[str, object]) -> None:
        self.transport.sendto(json.dumps(message).encode())

    async def heard(self, kind: str) -> dict[str, object]:
        async def look() -> list[dict[str, object]]:
            return [message for message in self.told if message["type"] == kind]

        return (await eventually(look))[0]


async def test_a_match_is_played_and_told(stage: Stage) -> None:
    """Two players join, drive until the time limit, and the match ends with a result that equals the log."""
    match = await stage.match(Server(arena={"time_limit_s": 6}))  # from the first join: all is sent by then
    pod = stage.start(match)
    found = await stage.reached(match, "RUNNING")
    assert await stage.tickets(match) == {"COMPLETED"}
    players = [await TcpPlayer.join(match, found, stage.token(match, seat)) for seat in range(2)]
    for player in players:
        await player.drive_for(50, 0.005)
    ended = await stage.reached(match, "ENDED")
    result = json.loads(ended["result"])
    assert (ended["reason"], result["reason"]) == ("finished", "time-limit")
    told = standings(match.players, read_report(ended["result"]))
    assert (len(told.sides), told.left) == (2, frozenset())
    logged = await stage.logged(match)
    assert len(logged) == sum(p["interactions"] for p in result["players"]) == 100
    assert len({one.id for one in logged}) == len(logged)
    assert await pod.ended() == 0
    assert all(player.over for player in players)
    board = dict(await stage.db.do("ZRANGE", f"{keys.boards(GAME)}:activity", 0, -1, "WITHSCORES"))
    assert {player: float(n) for player, n in board.items()} == {seat.id: 50.0 for seat in match.players}
    assert len(await stage.db.do("ZRANGE", f"{keys.boards(GAME)}:score", 0, -1)) == 2
    for player in players:
        await player.close()


async def test_views_show_players_while_they_play(stage: Stage) -> None:
    """Position and state of a player are readable during the match, the position with its time to live."""
    match = await stage.match(ARENA, players=1)
    stage.start(match)
    player = await TcpPlayer.join(match, await stage.reached(match, "RUNNING"), stage.token(match))
    await player.drive_for(10)
    seat = match.players[0].id
    base = keys.shard(GAME, seat)

    async def look() -> bool:
        return bool(await stage.db.do("EXISTS", f"{base}:move:{seat}", f"{base}:player:{seat}") == 2)

    await eventually(look)
    assert set(await stage.db.do("HGETALL", f"{base}:move:{seat}")) == {"id", "lat", "lon", "at"}
    assert 0 < await stage.db.do("TTL", f"{base}:move:{seat}") <= 30
    state = await stage.db.do("HGETALL", f"{base}:player:{seat}")
    assert state["match"] == match.id
    wanted = {"hit_points", "mana", "stamina", "interaction", "damage_dealt", "target", "lat", "lon", "last_actions"}
    assert wanted <= set(state)
    await player.close()


async def test_players_join_over_udp_and_websocket(stage: Stage) -> None:
    """One match takes a datagram client and a browser, and both hear how it ends."""
    match = await stage.match(ARENA)
    pod = stage.start(match)
    ports = ports_of(await stage.reached(match, "RUNNING"))
    loop = asyncio.get_running_loop()
    address = ("127.0.0.1", ports["udp"])
    transport, udp = await loop.create_datagram_endpoint(lambda: UdpPlayer(stage.token(match, 0)), remote_addr=address)
    assert (await udp.heard("welcome"))["player"] == match.players[0].id
    async with websockets.connect(f"ws://127.0.0.1:{ports['ws']}/ws") as page:
        await page.send(json.dumps({"type": "join", "token": stage.token(match, 1)}))
        async for text in page:
            if (message := json.loads(text))["type"] == "welcome":
                pod.process.terminate()  # both are in
            elif message["type"] == "over":
                break
    assert message["result"]["reason"] == "stopped"
    assert (await udp.heard("over"))["result"] == message["result"]
    transport.close()
    assert await pod.ended() == 0


async def test_only_the_matchs_own_players_join(stage: Stage) -> None:
    """Forged, foreign and expired tokens are refused by code."""
    match = await stage.match(ARENA, players=1)
    other = await stage.match(ARENA, players=1)
    stage.start(match)
    found = await stage.reached(match, "RUNNING")
    tokens = {
        "join-forged": stage.token(match)[:-2] + "xx",
        "join-foreign": stage.token(match, match="m-other"),
        "join-expired": stage.token(match, expires_s=int(time.time()) - 1),
    }
    for code, token in tokens.items():
        player = await TcpPlayer.join(match, found, token)
        assert player.errors == [code]
        await player.close()
    player = await TcpPlayer.join(match, found, stage.token(other))
    assert player.errors == ["join-forged"]
    await player.close()
    player = await TcpPlayer.join(match, found, stage.token(match))
    assert player.errors == []
    await player.close()


async def end_of(stage: Stage, match: Match) -> str:
    return (await stage.reached(match, "ENDED"))["reason"]


async def test_the_result_accounts_for_every_seat(stage: Stage) -> None:
    """Who left and who never came are told as such, so that the result can move ratings."""
    match = await stage.match(ARENA, players=3)
    pod = stage.start(match)
    found = await stage.reached(match, "RUNNING")
    stays, leaves = [await TcpPlayer.join(match, found, stage.token(match, seat)) for seat in (0, 1)]
    leaves.send({"type": "leave"})

    async def has_left() -> bool:
        return (await stage.found(match)).get("left") == json.dumps([match.players[1].id])

    await eventually(has_left)
    pod.process.terminate()
    ended = await stage.reached(match, "ENDED")
    told = standings(match.players, read_report(ended["result"]))
    assert told.left == {seat.id for seat in match.players[1:]}
    assert [side.place for side in told.sides] == [0, 1, 1]
    assert told.sides[0].players == (match.players[0].id,)
    assert await pod.ended() == 0
    for player in (stays, leaves):
        await player.close()


async def test_nobody_comes(stage: Stage) -> None:
    """A match that nobody joins ends by itself."""
    match = await stage.match(ARENA, timers=Timers(join_s=0.3))
    pod = stage.start(match)
    assert await end_of(stage, match) == "no_show"
    assert await pod.ended() == 0


async def test_everybody_leaves(stage: Stage) -> None:
    """A match that its players left ends, and they are on record as having left by their own will."""
    match = await stage.match(ARENA, timers=Timers(empty_s=3, join_s=20))
    pod = stage.start(match)
    player = await TcpPlayer.join(match, await stage.reached(match, "RUNNING"), stage.token(match))
    player.send({"type": "leave"})

    async def look() -> bool:
        return (await stage.found(match)).get("left") == json.dumps([match.players[0].id])

    await eventually(look)
    await player.close()
    assert await end_of(stage, match) == "empty"
    assert await pod.ended() == 0


async def test_a_match_has_a_greatest_length(stage: Stage) -> None:
    """Whoever plays on, the match ends at its length."""
    match = await stage.match(ARENA, timers=Timers(length_s=5))
    pod = stage.start(match)
    player = await TcpPlayer.join(match, await stage.reached(match, "RUNNING"), stage.token(match))
    assert await end_of(stage, match) == "too_long"
    assert await pod.ended() == 0
    assert player.over
    await player.close()


async def test_wrong_arena_settings_fail_the_launch_in_words(stage: Stage) -> None:
    """A registration the arena cannot take fails with the setting's name, and the players are queued again."""
    match = await stage.match(Server(arena={"tick_rate": 60}))
    pod = stage.start(match)
    failed = await stage.reached(match, "FAILED")
    assert failed["reason"] == "launch_failed"
    assert "'tick_rate' is not an arena setting" in json.loads(failed["result"])["detail"]
    assert await stage.tickets(match) == {"QUEUED"}
    assert await pod.ended() == 1


async def test_figures_and_metrics_tell_of_the_match(stage: Stage) -> None:
    """The beat carries figures for the page; the metrics port speaks the Prometheus text format."""
    match = await stage.match(ARENA, players=1)
    pod = stage.start(match)
    player = await TcpPlayer.join(match, await stage.reached(match, "RUNNING"), stage.token(match))
    await player.drive_for(5)

    async def look() -> bool:
        figures = json.loads((await stage.found(match)).get("figures", "{}"))
        return bool(figures.get("players") == 1 and figures["interactions"] == 5 and figures["tick"] > 0)

    await eventually(look)
    assert (await stage.found(match))["server_state"] == "Allocated"
    port = (await pod.said("attached"))["metrics_port"]
    page = await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode())
    samples = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    assert float(samples["muster_interactions_written_total"]) == 5
    assert float(samples["muster_arena_players"]) == 1
    assert float(samples["muster_gamepod_ready"]) == 1
    await player.close()
