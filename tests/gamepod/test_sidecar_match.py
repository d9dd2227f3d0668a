"""The sidecar in a real match: what a game says through it moves the match, and what it tells is checked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

import jwt
import pytest
from msgspec.structs import astuple

from core.interactions import Action, Attack, Move
from core.jointoken import JoinClaims, match_key, mint_signed
from core.model import CounterSpec, HealthSpec, ListSpec, Ready, Server
from core.signing import Keyring, SigningKey
from gamepod.sdk.interactions import BURST, MAX_ROWS
from tests.gamepod.sdk.side import call
from tests.gamepod.stage import SECRET, Stage
from tests.gamepod.test_command_match import gone, pid_of, sdk_match

IDLE = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(3)); time.sleep(600)"]


async def send(port: int, path: str, body: Any) -> tuple[int, Any]:
    """POST JSON to the sidecar: status and decoded body."""
    return await call(port, "POST", path, json.dumps(body).encode())


async def watch_line(reader: asyncio.StreamReader) -> Any:
    """The next document of a watch."""
    size = int(await reader.readline(), 16)
    return json.loads(await reader.readexactly(size + 2))["result"]


@pytest.mark.parametrize("word", ["/ready", "/allocate", "/reserve"])
async def test_each_word_for_playable_places_the_players(stage: Stage, word: str) -> None:
    """Ready, Allocate by itself, or a reservation whose time is over: then the players are told the address."""
    match, pod, port = await sdk_match(stage)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /watch/gameserver HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert (await watch_line(reader))["status"]["state"] == "Scheduled"
    assert await send(port, word, {"seconds": "1"}) == (200, {})
    await stage.reached(match, "RUNNING")
    while (document := await watch_line(reader))["status"]["state"] != "Allocated":
        assert document["status"]["state"] in ("RequestReady", "Reserved", "Allocated", "Scheduled")
    assert document["object_meta"]["labels"]["muster.dev/match"] == match.id
    roster = json.loads(document["object_meta"]["annotations"]["muster.dev/roster"])
    assert [seat["id"] for seat in roster] == [seat.id for seat in match.players]
    writer.close()
    assert await send(port, "/shutdown", {}) == (200, {})
    assert (await stage.reached(match, "ENDED"))["reason"] == "exited"
    assert await pod.ended() == 0


async def test_shutdown_before_ready_ends_the_game_and_requeues(stage: Stage) -> None:
    """A game that gives up before anybody could play: the players are back in the queue as soon as it has exited."""
    program = (
        "import json, os, urllib.request as r;"
        "at = f\"http://127.0.0.1:{os.environ['AGONES_SDK_HTTP_PORT']}/shutdown\";"
        "r.urlopen(r.Request(at, b'{}'))"
    )
    match = await stage.match(Server(command=[sys.executable, "-c", program], ready=Ready(when="sdk")))
    pod = stage.start(match)
    assert (await stage.reached(match, "FAILED"))["reason"] == "died_early"
    assert await stage.tickets(match) == {"QUEUED"}
    assert await pod.ended() == 1


async def test_what_a_game_is_registered_with_is_there(stage: Stage) -> None:
    """Health rules, counters and lists of the registration, and as many seats for players as the match has."""
    server = Server(
        command=IDLE,
        ready=Ready(when="sdk"),
        health=HealthSpec(period_s=7, failure_threshold=2, initial_delay_s=1),
        counters={"rooms": CounterSpec(1, 10)},
        lists={"maps": ListSpec(5, ["mars"])},
    )
    match = await stage.match(server)
    pod = stage.start(match)
    port = (await pod.said("attached"))["sdk_port"]
    await send(port, "/health", {})
    _, document = await call(port, "GET", "/gameserver")
    assert document["spec"]["health"] == {
        "disabled": False,
        "period_seconds": 7,
        "failure_threshold": 2,
        "initial_delay_seconds": 1,
    }
    status = document["status"]
    assert status["counters"] == {"rooms": {"count": "1", "capacity": "10"}}
    assert status["lists"] == {"maps": {"capacity": "5", "values": ["mars"]}}
    assert status["players"]["capacity"] == str(len(match.players))


async def test_a_join_token_is_verified_for_the_game(stage: Stage) -> None:
    """The sidecar says whose a token is; forged, foreign and expired ones are 401, and the key stays with it."""
    match, _, port = await sdk_match(stage)
    other = await stage.match(Server(command=IDLE, ready=Ready(when="sdk")))
    seat = match.players[1]
    status, told = await send(port, "/muster/v1/verify", {"token": stage.token(match, seat=1)})
    assert (status, told["player"], told["team"]) == (200, seat.id, seat.team)
    bad = {
        "forged": stage.token(match)[:-3] + "abc",
        "another match": stage.token(other),
        "expired": stage.token(match, expires_s=int(time.time()) - 1),
        "not a join token": "x",
    }
    for word, token in bad.items():
        status, refused = await send(port, "/muster/v1/verify", {"token": token})
        assert (status, refused["code"]) == (401, 16), word
    assert (await send(port, "/muster/v1/verify", {}))[0] == 400
    _, found = await call(port, "GET", "/muster/v1/match")
    assert (found["version"], found["timers"]["length_s"]) == (match.game_version, match.timers.length_s)


async def test_a_game_may_verify_join_tokens_by_itself(stage: Stage) -> None:
    """With the keys that the sidecar hands it; the sidecar takes the same token, and has no key that could sign one."""
    ring = Keyring([SECRET])
    match, _, port = await sdk_match(stage, MUSTER_JOIN_JWKS=json.dumps(ring.jwks()))
    seat, signer = match.players[0], ring.first
    claims = JoinClaims(seat.id, match.id, seat.name, seat.team, int(time.time()) + 60)
    token = mint_signed(match_key(SECRET, match.id), claims, signer.kid, signer.private.sign)
    status, keys = await call(port, "GET", "/muster/v1/keys")
    assert status == 200
    assert all("d" not in key for key in keys["keys"])
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["EdDSA"], audience="muster:join")["sub"] == seat.id
    status, told = await send(port, "/muster/v1/verify", {"token": token})
    assert (status, told["player"]) == (200, seat.id)
    other = SigningKey("another secret of thirty-two bytes")
    forged = mint_signed(match_key(other.secret, match.id), claims, signer.kid, other.private.sign)
    assert (await send(port, "/muster/v1/verify", {"token": forged}))[0] == 401


async def test_interactions_of_a_game_reach_the_log(stage: Stage) -> None:
    """What a game tells of its players is in Redis as the arena's own is, and a match that is not on takes none."""
    match, pod, port = await sdk_match(stage)
    one, two = (seat.id for seat in match.players)
    rows = [
        {"player": one, "target": two, "damage": 12.5},
        {"player": two, "position": [48.25, 16.5]},
        {"player": two, "what": "jump"},
    ]
    path = "/muster/v1/interactions"
    status, refused = await send(port, path, {"interactions": rows})
    assert (status, refused["code"]) == (400, 9)
    await send(port, "/ready", {})
    await stage.reached(match, "RUNNING")
    await pod.said("ready")
    assert await send(port, path, {"interactions": rows}) == (200, {"accepted": 3})
    await send(port, "/shutdown", {})
    await stage.reached(match, "ENDED")
    logged = await stage.logged(match)
    assert [type(it) for it in logged] == [Attack, Move, Action]
    assert [astuple(it)[2:] for it in logged] == [(one, two, 12.5), (two, 48.25, 16.5), (two, "jump")]
    assert len({it.id for it in logged}) == 3


async def test_wrong_and_too_many_interactions_are_refused(stage: Stage) -> None:
    """One wrong row refuses all and names itself; a flood meets the match's allowance; what was accepted is written."""
    match, pod, port = await sdk_match(stage)
    one = match.players[0].id
    await send(port, "/ready", {})
    await pod.said("ready")
    good = {"player": one, "what": "jump"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"player": "p-eve"}, "/interactions/1/player"),
        ({"player": one, "target": "p-eve", "damage": 1}, "/interactions/1/target"),
        ({"player": one, "position": [91, 0]}, "position"),
        ({"player": one, "target": one, "damage": -1}, "damage"),
        ({"player": one, "target": one, "position": [0, 0]}, "both"),
        ({"player": one, "at_s": 5}, "at_s"),
        ({"player": one, "colour": 1}, "colour"),
    ]
    path = "/muster/v1/interactions"
    for row, word in wrong:
        status, refused = await send(port, path, {"interactions": [good, row]})
        assert (status, refused["code"]) == (400, 3), row
        assert word in refused["message"], refused
    assert (await send(port, path, {"interactions": [good] * (MAX_ROWS + 1)}))[0] in (400, 413)
    taken, answers = 0, []
    while taken <= 4 * BURST and 429 not in answers:
        status, told = await send(port, path, {"interactions": [good] * MAX_ROWS})
        answers.append(status)
        taken += told.get("accepted", 0)
    await send(port, "/shutdown", {})
    await stage.reached(match, "ENDED")
    assert await pod.ended() == 0
    assert len(await stage.logged(match)) == taken


async def test_a_game_that_dies_in_allocated_fails_its_match(stage: Stage) -> None:
    """SIGKILL of a game that plays: the match has crashed, its players are back in the queue, nothing is left."""
    match, pod, port = await sdk_match(stage)
    await send(port, "/ready", {})
    await stage.reached(match, "RUNNING")
    pid = await pid_of(pod)
    os.kill(pid, signal.SIGKILL)
    assert (await stage.reached(match, "FAILED"))["reason"] == "crashed"
    assert await stage.tickets(match) == {"QUEUED"}
    assert await pod.ended() == 1
    await gone(pid)
