"""A game that is a command: whatever it does, the match hears how it ended and nothing of it is left running."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core import keys
from core.clock import now_ms
from core.model import Match, Port, Ready, Server, Timers
from gamepod.command_game import CommandGame
from gamepod.outcome import GameFailed
from gamepod.roster import Roster
from gamepod.sdk.rest import LIMITS
from gamepod.sdk.server import ServerLife
from gamepod.sdk.sidecar import SdkPorts
from gamepod.sdk.state import HealthRules
from gamepod.sdk.tallies import Players
from gamepod.settings import Settings
from gamepod.turnout import Turnout
from tests.gamepod.sdk.side import call
from tests.gamepod.stage import GAME, Pod, Stage
from tests.support import eventually

NOW = Ready(when="delay", delay_s=0)


def python(program: str, *, ready: Ready = NOW, **more: Any) -> Server:
    """A game in a few lines of Python."""
    return Server(command=[sys.executable, "-u", "-c", program], ready=ready, **more)


def until(file: Path, then: str = "") -> str:
    """A program that does something once there is this file, so that it is done when a test wants it."""
    return f"import os, sys, time\nwhile not os.path.exists({str(file)!r}):\n    time.sleep(0.02)\n{then}"


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    async def look() -> bool:
        return not alive(pid)

    await eventually(look)


async def pid_of(pod: Pod) -> int:
    return int((await pod.said("the game's command runs"))["pid"])


async def test_a_game_that_exits_with_0_is_over(stage: Stage) -> None:
    """Exit code 0 after Ready is how a game ends its match."""
    end = stage.folder / "end"
    match = await stage.match(python(until(end)))
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    end.touch()
    ended = await stage.reached(match, "ENDED")
    assert (ended["reason"], json.loads(ended["result"])) == ("exited", {"exit_code": 0})
    assert await stage.tickets(match) == {"COMPLETED"}
    assert await pod.ended() == 0


async def test_a_game_that_exits_with_1_has_crashed(stage: Stage) -> None:
    """Another exit code after Ready fails the match with what the game said last; its players are queued again."""
    end = stage.folder / "end"
    match = await stage.match(python(until(end, "raise SystemExit('out of tanks')")))
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    end.touch()
    failed = await stage.reached(match, "FAILED")
    told = json.loads(failed["result"])
    assert failed["reason"] == "crashed"
    assert told["detail"] == "the game exited with code 1"
    assert told["output"] == ["out of tanks"]
    assert await stage.tickets(match) == {"QUEUED"}
    assert await pod.ended() == 1


@pytest.mark.parametrize("code", [0, 7])
async def test_a_game_that_exits_before_ready_died_early(stage: Stage, code: int) -> None:
    """Before Ready every exit is a failure, and the reason says so."""
    match = await stage.match(python(f"raise SystemExit({code})", ready=Ready(when="sdk")))
    pod = stage.start(match)
    failed = await stage.reached(match, "FAILED")
    assert failed["reason"] == "died_early"
    assert json.loads(failed["result"])["detail"] == f"the game exited with code {code} before it was ready"
    assert await pod.ended() == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/no/such/game"], "'/no/such/game' does not exist on this host"),
        (["no-such-game-anywhere"], "'no-such-game-anywhere' does not exist on this host"),
        (["/etc/passwd"], "'/etc/passwd' may not be executed"),
        (["sleep", "{port:voice}"], "asks for {port:voice}, but the ports are game"),
    ],
)
async def test_a_command_that_cannot_be_started_says_why(stage: Stage, command: list[str], words: str) -> None:
    """The developer reads in one place what is wrong with the command."""
    match = await stage.match(Server(command=command))
    pod = stage.start(match)
    failed = await stage.reached(match, "FAILED")
    assert failed["reason"] == "launch_failed"
    assert words in json.loads(failed["result"])["detail"]
    assert await pod.ended() == 1


async def test_a_game_is_ready_when_its_port_is_open(stage: Stage) -> None:
    """The port that Muster chose reaches the game by its command line, and Ready comes when it listens."""
    program = "import socket, sys, time; time.sleep(0.3); s = socket.create_server(('127.0.0.1', int(sys.argv[1])))"
    serve = "c, _ = s.accept(); c.sendall(b'hello'); c.close()"
    server = python(f"{program}; {serve}", args=["{port}"], ports=[Port("game", "tcp")], ready=Ready(when="port"))
    match = await stage.match(server)
    pod = stage.start(match)
    connection = json.loads((await stage.reached(match, "RUNNING"))["connection"])
    port = connection["ports"][0]
    assert (connection["address"], port["name"], port["protocol"]) == ("127.0.0.1", "game", "tcp")
    reader, writer = await asyncio.open_connection("127.0.0.1", port["port"])
    assert await reader.read() == b"hello"  # Muster's own look at the port was no connection
    writer.close()
    assert (await stage.reached(match, "ENDED"))["reason"] == "exited"
    assert await pod.ended() == 0


async def test_a_game_that_never_opens_its_port_is_never_ready(stage: Stage) -> None:
    """It stays unready until the matchmaker's timer fails the match; then the game is gone."""
    server = python("import time; time.sleep(600)", ports=[Port("game", "tcp")], ready=Ready(when="port"))
    match = await stage.match(server)
    pod = stage.start(match)
    pid = await pid_of(pod)
    await asyncio.sleep(0.3)
    assert (await stage.found(match))["state"] == "PLACING"
    await stage.db.call("match_step", keys.game(GAME), match.id, "fail", now_ms(), "", "never_ready", "", 0, 3)
    assert await pod.ended() == 3
    await gone(pid)
    assert (await stage.found(match))["reason"] == "never_ready"


async def test_a_game_that_ignores_sigterm_is_killed_after_its_time(stage: Stage) -> None:
    """A stubborn game, and what it has started, are gone when the server ends; the match is told in time."""
    program = (
        "import signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(subprocess.Popen(['sleep', '600']).pid); time.sleep(600)"
    )
    match = await stage.match(python(program), timers=Timers(drain_s=10))
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    log = stage.folder / "run" / f"{match.id}.game.log"

    async def look() -> str:
        return log.read_text().strip()

    pid, grandchild = await pid_of(pod), int(await eventually(look))
    pod.process.terminate()
    assert (await stage.reached(match, "ENDED"))["reason"] == "stopped"
    assert await pod.ended() == 0
    await gone(pid)
    await gone(grandchild)


async def test_sigkill_of_the_server_takes_the_game_with_it(stage: Stage) -> None:
    """No game runs on without its sidecar, however that ended."""
    match = await stage.match(python("import time; time.sleep(600)"))
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    pid = await pid_of(pod)
    assert alive(pid)
    pod.process.kill()
    await gone(pid)


async def test_a_game_has_a_greatest_length(stage: Stage) -> None:
    """A game that never ends is ended."""
    match = await stage.match(python("import time; time.sleep(600)"), timers=Timers(length_s=0.5, drain_s=1))
    pod = stage.start(match)
    assert (await stage.reached(match, "ENDED"))["reason"] == "too_long"
    assert await pod.ended() == 0
    await gone(await pid_of(pod))


async def test_a_game_sees_its_own_environment_and_no_secret(stage: Stage) -> None:
    """What was registered and what Muster tells are there; the join key and Redis are not."""
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    server = python(program, env={"MODE": "fast"}, ports=[Port("game", "udp"), Port("chat-room", "tcp")])
    match = await stage.match(server)
    pod = stage.start(match)
    assert await pod.ended() in (0, 1)
    env = json.loads((stage.folder / "run" / f"{match.id}.game.log").read_text())
    assert env["MODE"] == "fast"
    assert env["PORT"] == env["MUSTER_PORT_GAME"] != env["MUSTER_PORT_CHAT_ROOM"]
    assert env["MUSTER_SERVER"] == f"test/{match.id}"
    assert (env["MUSTER_MATCH"], env["MUSTER_GAME"], env["MUSTER_GAME_VERSION"]) == (match.id, GAME, "1")
    assert json.loads(env["MUSTER_ROSTER"]) == [{"id": seat.id, "team": seat.team} for seat in match.players]
    assert json.loads(env["MUSTER_SETTINGS"])["timers"]["drain_s"] == match.timers.drain_s
    assert int(env["AGONES_SDK_HTTP_PORT"]) > 0
    assert not {"REDIS_URL", "MUSTER_JOIN_KEY"} & set(env)


async def sdk_match(stage: Stage, **env: str) -> tuple[Match, Pod, int]:
    """A running game that waits for nothing but its SDK."""
    program = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(3)); time.sleep(600)"
    match = await stage.match(python(program, ready=Ready(when="sdk")))
    pod = stage.start(match, **env)
    await pod.said("the game's command runs")
    return match, pod, (await pod.said("attached"))["sdk_port"]


async def test_a_game_speaks_to_its_sidecar_as_to_agones(stage: Stage) -> None:
    """Ready, health, the document and shutdown over REST; shutdown ends the match, whatever the exit code then is."""
    match, pod, port = await sdk_match(stage)
    status, document = await call(port, "GET", "/gameserver")
    assert status == 200
    assert document["status"]["state"] == "Scheduled"
    assert document["object_meta"]["name"] == match.id
    assert document["object_meta"]["labels"]["muster.dev/match"] == match.id
    assert document["object_meta"]["labels"]["muster.dev/version"] == "1"
    told = document["object_meta"]["annotations"]
    assert [seat["id"] for seat in json.loads(told["muster.dev/roster"])] == [seat.id for seat in match.players]
    assert json.loads(told["muster.dev/settings"])["timers"]["start_s"] == 60
    assert document["status"]["ports"][0]["name"] == "game"
    assert await call(port, "POST", "/ready") == (200, {})
    await stage.reached(match, "RUNNING")
    assert await call(port, "POST", "/ready") == (200, {})
    assert await call(port, "POST", "/health") == (200, {})
    _, document = await call(port, "GET", "/gameserver")
    assert document["status"]["state"] == "Allocated"
    assert document["spec"]["health"]["disabled"] is False
    assert await call(port, "POST", "/shutdown") == (200, {})
    assert (await stage.reached(match, "ENDED"))["reason"] == "exited"
    assert await pod.ended() == 0


async def test_the_arena_takes_no_commands_from_its_sidecar(stage: Stage) -> None:
    """Nobody on the host can end a match of the built-in arena through the SDK; the document is there."""
    match = await stage.match(Server(arena={}))
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    port = (await pod.said("attached"))["sdk_port"]
    assert (await call(port, "POST", "/shutdown"))[0] == 400
    document = (await call(port, "GET", "/gameserver"))[1]
    assert [port["name"] for port in document["status"]["ports"]] == ["udp", "tcp", "ws"]
    assert (await stage.found(match))["state"] == "RUNNING"


async def test_a_game_whose_signs_of_health_stay_away_has_crashed(stage: Stage) -> None:
    """After a first sign, silence for the threshold's periods ends the game, and the reason says so."""
    match = await stage.match(python("import time; time.sleep(600)"))
    given = Settings(game=GAME, match=match.id, join_key="k", run_dir=str(stage.folder))
    life = ServerLife(0.0, HealthRules(period_s=0.1, failure_threshold=2, initial_delay_s=0))
    turnout = Turnout(match, Roster(match), Players(2))
    game = CommandGame(given, match, life, SdkPorts(1, 2), turnout)
    await game.start()
    await game.until_ready()
    life.heard(time.monotonic())
    with pytest.raises(GameFailed, match=r"no sign of health for 0\.2 s") as caught:
        await game.play()
    assert caught.value.code == "crashed"
    assert life.state == "Unhealthy"
    pid = game.figures()["pid"]
    await game.close()
    assert not alive(pid)


async def test_bad_calls_to_the_sidecar_are_refused_and_harm_nothing(stage: Stage) -> None:
    """Wrong paths, methods and bodies get the gateway's errors; the server is as before."""
    match, _, port = await sdk_match(stage)
    assert await call(port, "GET", "/nothing") == (404, {"code": 5, "message": "Not Found", "details": []})
    assert (await call(port, "GET", "/ready"))[0] == 501
    assert (await call(port, "POST", "/health", b""))[0] == 400
    assert (await call(port, "POST", "/ready", b"[1]"))[0] == 400
    assert (await call(port, "POST", "/ready", b"{"))[0] == 400
    assert (await call(port, "POST", "/ready", b"x" * (LIMITS.max_body_bytes + 1)))[0] == 413
    assert await call(port, "GET", "/healthz") == (200, "ok\n")
    assert (await call(port, "GET", "/gameserver"))[1]["status"]["state"] == "Scheduled"
    assert (await stage.found(match))["state"] == "PLACING"


async def test_output_that_never_ends_does_not_fill_the_disk(stage: Stage) -> None:
    """A game that prints without end keeps two bounded files."""
    program = "import sys\nfor i in range(60000): print('x' * 99)"
    match = await stage.match(python(program))
    assert await stage.start(match).ended() in (0, 1)
    sizes = [os.stat(file).st_size for file in (stage.folder / "run").glob("*.log")]
    assert 1_000_000 < sum(sizes) <= 2 * 1_048_576
