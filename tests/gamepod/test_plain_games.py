"""Games that know nothing of Muster: ready by what they do, over when they exit, ended by the timers of the match."""

from __future__ import annotations

import asyncio
import json

import pytest

from core import keys
from core.clock import now_ms
from core.model import Port, Ready, Server, Timers
from tests.gamepod.sdk.side import call
from tests.gamepod.stage import GAME, Stage
from tests.gamepod.test_command_match import NOW, python, until
from tests.support import eventually

TCP = [Port("game", "tcp")]
RECONNECT_S = 4.0  # who is to come back in time comes back at once, or as late as the machine is
SERVE = "import os, socket, time; s = socket.create_server(('127.0.0.1', int(os.environ['PORT'])));"
HTTP = """
import http.server, os
asked = []
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        self.send_response(200 if self.path == "/ready?now" and len(asked) > 2 else 503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["MUSTER_PORT_WEB"])), Page).serve_forever()
"""


async def test_a_game_is_ready_after_its_line(stage: Stage) -> None:
    """A line that comes in pieces, long after others, on either output; not before it."""
    listen = stage.folder / "listen"
    then = (
        "sys.stderr.write('12:00 [net] listen'); time.sleep(0.1); sys.stderr.write('ing on 7777\\n'); time.sleep(600)"
    )
    program = "print('listening soon'); print('x' * 5000)\n" + until(listen, then)
    match = await stage.match(python(program, ready=Ready(when="log", line="[net] listening on *77")))
    pod = stage.start(match)
    await pod.said("the game's command runs")
    assert (await stage.found(match))["state"] == "PLACING"
    listen.touch()
    await stage.reached(match, "RUNNING")
    log = (stage.folder / "run" / f"{match.id}.game.log").read_text()
    assert "listening on 7777" in log


async def test_a_game_is_ready_when_its_page_answers(stage: Stage) -> None:
    """2xx on the named port and path is ready, 503 is not yet; the query is asked as it is."""
    ports = [Port("game", "udp"), Port("chat", "tcp"), Port("web", "tcp")]
    ready = Ready(when="http", path="/ready?now", port="web")
    match = await stage.match(python(HTTP, ready=ready, ports=ports))
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    log = (stage.folder / "run" / f"{match.id}.game.log").read_text()
    assert '"GET /ready?now HTTP/1.1" 503' in log
    assert log.count(" 200 ") == 1
    assert pod.process.poll() is None


@pytest.mark.parametrize("code", [0, 3])
async def test_its_exit_code_is_kept(stage: Stage, code: int) -> None:
    """The match's result has the code that the program ended with, well or badly."""
    end = stage.folder / "end"
    match = await stage.match(python(until(end, f"raise SystemExit({code})")))
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    end.touch()
    await pod.ended()
    found = await stage.found(match)
    assert found["reason"] == ("crashed" if code else "exited")
    assert json.loads(found["result"])["exit_code"] == code


async def test_a_sidecar_hears_of_the_line_from_its_launcher(stage: Stage) -> None:
    """It does not see the other container's output: who does tells it through the match."""
    match = await stage.match(Server(image="x", ready=Ready(when="log", line="up")))
    pod = stage.start(match, MUSTER_SIDECAR="true", MUSTER_PORTS="[]")
    await pod.said("attached")
    assert (await stage.found(match))["state"] == "PLACING"
    base = keys.game(GAME)
    token = await stage.db.do("HGET", f"{base}:lease", "token")
    assert await stage.db.call("match_said", base, token, match.id, now_ms()) == ["ok", "PLACING"]
    assert await stage.db.call("match_said", base, token, match.id, now_ms()) == ["ok", "PLACING"]
    await stage.reached(match, "RUNNING")


async def test_nobody_connects_to_a_plain_game(stage: Stage) -> None:
    """With its connections counted a game that nobody came to is over, and says why; it is ended."""
    server = python(SERVE + "time.sleep(600)", ports=TCP, ready=Ready(when="port"), counted_by="connections")
    match = await stage.match(server, timers=Timers(join_s=0.5, empty_s=60, drain_s=1))
    pod = stage.start(match)
    assert (await stage.reached(match, "ENDED"))["reason"] == "no_show"
    assert await pod.ended() == 0


async def test_the_last_connection_of_a_plain_game_closes(stage: Stage) -> None:
    """Somebody connected, and is gone: the match is over after its time, and not while he is there."""
    program = SERVE + "c, _ = s.accept(); c.recv(1); c.close(); time.sleep(600)"
    server = python(program, ports=TCP, ready=Ready(when="port"), counted_by="connections")
    match = await stage.match(server, timers=Timers(join_s=60, empty_s=0.5, drain_s=1))
    stage.start(match)
    port = json.loads((await stage.reached(match, "RUNNING"))["connection"])["ports"][0]["port"]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(1.5)  # three times as long as an empty match has
    assert (await stage.found(match))["state"] == "RUNNING"
    writer.close()
    assert (await stage.reached(match, "ENDED"))["reason"] == "empty"


async def test_nobody_is_judged_by_what_nobody_tells(stage: Stage) -> None:
    """A game that tells of no players has neither no-show nor empty: its length ends it."""
    match = await stage.match(python("import time; time.sleep(600)"),
                              timers=Timers(join_s=0.1, empty_s=0.1, length_s=1.5, drain_s=1))  # fmt: skip
    stage.start(match)
    assert (await stage.reached(match, "ENDED"))["reason"] == "too_long"


async def test_a_game_that_says_it_tells_is_judged_from_the_start(stage: Stage) -> None:
    """With `calls` a match nobody came to is over."""
    match = await stage.match(python("import time; time.sleep(600)", counted_by="calls"),
                              timers=Timers(join_s=0.5, drain_s=1))  # fmt: skip
    stage.start(match)
    assert (await stage.reached(match, "ENDED"))["reason"] == "no_show"


async def test_who_lost_the_connection_keeps_the_seat_for_a_while(stage: Stage) -> None:
    """Lost and back in time changes nothing; not back in time is left, as for backfill; nobody left is `empty`."""
    timers = Timers(reconnect_s=RECONNECT_S, empty_s=3, join_s=60, drain_s=1)
    match = await stage.match(python("import time; time.sleep(600)"), timers=timers)
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    port = (await pod.said("attached"))["sdk_port"]
    one, two = (seat.id for seat in match.players)

    async def tell(**players: list[str]) -> int:
        return (await call(port, "POST", "/muster/v1/players", json.dumps(players).encode()))[0]

    async def left() -> list[str]:
        return (await call(port, "GET", "/muster/v1/match"))[1]["left"]

    assert await tell(joined=[one, two]) == 200
    assert (await call(port, "GET", "/alpha/player/connected"))[1] == {"list": [one, two]}
    assert await call(port, "POST", "/alpha/player/disconnect", json.dumps({"playerID": two}).encode()) == (
        200,
        {"bool": True},
    )
    await asyncio.sleep(0.5)
    assert await left() == []
    assert await tell(joined=[two]) == 200
    await asyncio.sleep(RECONNECT_S + 0.5)
    assert await left() == []
    assert await tell(lost=[two]) == 200

    async def gone() -> bool:
        return await left() == [two]

    await eventually(gone)
    assert await tell(left=[one]) == 200
    assert await left() == sorted([one, two])
    assert (await stage.reached(match, "ENDED"))["reason"] == "empty"


@pytest.mark.parametrize("body", [{"joined": "p"}, {"joined": ["p-nobody"]}, {"came": []}])
async def test_players_that_are_none_of_the_match_are_refused(stage: Stage, body: dict[str, object]) -> None:
    """A game tells of its own players only; what is refused changes nothing."""
    match = await stage.match(python("import time; time.sleep(600)", ready=NOW))
    pod = stage.start(match)
    port = (await pod.said("attached"))["sdk_port"]
    assert (await call(port, "POST", "/muster/v1/players", json.dumps(body).encode()))[0] == 400
    assert (await call(port, "GET", "/alpha/player/count"))[1] == {"count": "0"}
