"""Games that misbehave towards their sidecar: bounded, named, and no harm to the match beside them."""

from __future__ import annotations

import asyncio
import json

from core.model import Match, Ready, Server, Timers
from tests.gamepod.sdk.side import call
from tests.gamepod.stage import DRAIN_S, Pod, Stage
from tests.gamepod.test_command_match import gone, pid_of, python
from tests.support import eventually

WAITS = "import time; time.sleep(600)"


async def started(stage: Stage, program: str = WAITS, *, drain_s: float = DRAIN_S) -> tuple[Match, Pod, int]:
    """A match whose game is up and not ready, and its sidecar's port."""
    match = await stage.match(python(program, ready=Ready(when="sdk")), timers=Timers(drain_s=drain_s))
    pod = stage.start(match)
    await pod.said("the game's command runs")
    return match, pod, int((await pod.said("attached"))["sdk_port"])


async def put(port: int, path: str, **body: object) -> int:
    method = "PUT" if "metadata" in path else "POST"
    return (await call(port, method, path, json.dumps(body).encode()))[0]


async def test_ready_twice_is_ready_once(stage: Stage) -> None:
    """The second is taken and changes nothing: one connection, one transition of the tickets, the same moment."""
    match, _, port = await started(stage)
    assert [await put(port, "/ready") for _ in range(2)] == [200, 200]
    first = await stage.reached(match, "RUNNING")
    assert await put(port, "/ready") == 200
    assert (await call(port, "GET", "/gameserver"))[1]["status"]["state"] == "Allocated"
    assert (await stage.found(match))["ready_ms"] == first["ready_ms"]


async def test_shutdown_before_ready_and_a_game_that_stays(stage: Stage) -> None:
    """It gave up: Ready is refused from then on, and the match is never ready; when it is failed nothing is left."""
    match, pod, port = await started(stage)
    assert await put(port, "/shutdown") == 200
    status, refused = await call(port, "POST", "/ready")
    assert (status, refused["code"]) == (400, 9)
    assert (await stage.found(match))["state"] == "PLACING"
    pod.process.terminate()
    assert (await stage.reached(match, "FAILED"))["reason"] == "died_early"
    await gone(await pid_of(pod))


async def test_a_game_that_dies_allocated_and_ignores_sigterm(stage: Stage) -> None:
    """Shutdown in play by a game that then stays on: asked, and killed after its drain time; over as it asked."""
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    match, pod, port = await started(stage, program, drain_s=1)

    async def deaf() -> bool:
        return "deaf" in (stage.folder / "run" / f"{match.id}.game.log").read_text()

    await eventually(deaf)
    await put(port, "/ready")
    await stage.reached(match, "RUNNING")
    assert await put(port, "/shutdown") == 200
    ended = await stage.reached(match, "ENDED")
    assert (ended["reason"], json.loads(ended["result"])["exit_code"]) == ("exited", -9)
    await gone(await pid_of(pod))


async def test_a_flood_from_one_game_leaves_its_neighbour_alone(stage: Stage) -> None:
    """Thousands of writes, a 10 MB annotation and more connections than are taken: both matches go on beating."""
    match, pod, port = await started(stage)
    other, _, quiet = await started(stage)
    for at in (port, quiet):
        await put(at, "/ready")
    for one in (match, other):
        await stage.reached(one, "RUNNING")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"PUT /metadata/annotation HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 1000)
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")  # by its length: it is not read
    writer.close()

    async def writes(of: int) -> set[int]:
        found = set()
        for i in range(300):
            try:
                found.add(await put(port, "/metadata/label", key=f"k{of}-{i}", value="v"))
            except (ConnectionError, IndexError):  # one connection more than it takes: closed at once
                found.add(0)
        return found

    assert set.union(*await asyncio.gather(*(writes(of) for of in range(48)))) <= {200, 429, 0}
    labels = (await call(port, "GET", "/gameserver"))[1]["object_meta"]["labels"]
    assert len([name for name in labels if name.startswith("agones.dev/sdk-")]) == 64
    for one, at in ((match, port), (other, quiet)):
        before = int((await stage.found(one))["beat_ms"])

        async def beats(match: Match = one, since_ms: int = before) -> bool:
            return int((await stage.found(match))["beat_ms"]) > since_ms

        await eventually(beats)
        assert (await call(at, "GET", "/gameserver"))[1]["status"]["state"] == "Allocated"
    assert pod.process.poll() is None


async def test_a_game_speaks_for_its_own_players_only(stage: Stage) -> None:
    """Results, leavers, players and interactions of somebody else's match are refused, and nothing of them is kept."""
    match, _, port = await started(stage)
    other = await stage.match(Server(command=["x"]))
    stranger, mine = other.players[0].id, match.players[0].id
    await put(port, "/ready")
    await stage.reached(match, "RUNNING")
    lies = {
        "/muster/v1/report": {"players": [{"player": stranger, "score": 9}, {"player": mine, "score": 1}]},
        "/muster/v1/backfill": {"left": [stranger]},
        "/muster/v1/players": {"left": [stranger]},
        "/muster/v1/interactions": {"interactions": [{"player": stranger, "what": "jump"}]},
        "/muster/v1/verify": {"token": stage.token(other)},
    }
    for path, body in lies.items():
        assert await put(port, path, **body) in (400, 401), path
    found = await stage.found(match)
    assert "report" not in found
    assert "backfill" not in found
    assert (await call(port, "GET", "/muster/v1/match"))[1]["left"] == []
    assert (await stage.found(other))["state"] == "PLACING"
