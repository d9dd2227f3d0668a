"""`muster local`: the sidecar alone for who writes a game, and with a command all of Muster behind it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.gamepod.sdk.side import call
from tests.sinks.brokers import listens
from tests.stack import ROOT, running_stack
from tests.support import eventually, free_port

GAME = """
import json, os, time, urllib.request as r
at = f"http://127.0.0.1:{os.environ['AGONES_SDK_HTTP_PORT']}"
post = lambda path, body: r.urlopen(r.Request(at + path, json.dumps(body).encode()))
post("/ready", {})
while json.load(r.urlopen(at + "/gameserver"))["status"]["state"] != "Allocated":
    time.sleep(0.05)
players = [p["id"] for p in json.load(r.urlopen(at + "/muster/v1/match"))["players"]]
post("/muster/v1/report", {"players": [{"player": p, "score": n} for n, p in enumerate(players)]})
post("/shutdown", {})
"""


async def test_a_command_becomes_a_game_with_a_matchmaker_behind_it(tmp_path: Path) -> None:
    """It says what to do; two guests who do it play a match in that program, and its report is kept."""
    program = tmp_path / "my_server.py"
    program.write_text(GAME)
    command = ("local", "--players", "2", "--", sys.executable, str(program))
    with running_stack(tmp_path / "stack", command) as stack:

        async def told() -> bool:
            return "The game 'local' is registered. 2 tickets make a match" in stack.said()

        await eventually(told)
        async with stack.visit() as here:
            tickets = [await here.post(await here.guest(), "local") for _ in range(2)]
            placed = [await here.wait(ticket) for ticket in tickets]

            async def over() -> dict[str, str]:
                found = await here.match("local", placed[0]["match"])
                return found if found["state"] == "ENDED" else {}

            found = await eventually(over)
            assert found["reason"] == "exited"
            assert len(json.loads(found["report"])["players"]) == 2


async def test_without_a_command_it_is_agones_local_mode(tmp_path: Path) -> None:
    """The sidecar answers on the ports that its settings name, and Ctrl-C ends it."""
    rest = free_port()
    env = os.environ | {"MUSTER_SDK_PORT": str(rest), "MUSTER_SDK_GRPC_PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "core.cli", "local"], cwd=ROOT, env=env, stderr=subprocess.DEVNULL
    )
    try:

        async def up() -> bool:
            return await asyncio.to_thread(listens, rest)

        await eventually(up)
        assert (await call(rest, "GET", "/gameserver"))[1]["object_meta"]["name"] == "local"
        status, refused = await call(rest, "GET", "/muster/v1/match")
        assert (status, "muster local -- COMMAND" in refused["message"]) == (404, True)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_a_program_that_is_not_there_is_said_so() -> None:
    """Before anything is started."""
    command = [sys.executable, "-m", "core.cli", "local", "--", "no-such-game"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 78
    assert "no program 'no-such-game'" in done.stderr
