"""`muster up`: one URL, one stack a folder, nothing left behind, everything there again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from core import keys
from core.cli import servers
from core.cli.folder import StackState
from core.redis.client import open_database
from tests.seat import Seat, settle
from tests.stack import ROOT, Stack, leave_nothing, running_stack, stack_env, start_up
from tests.support import eventually, free_port

# Python runs this before all else: the API takes so long to start that it cannot be up before somebody stops it.
SLOW_WEBAPI = """
import sys, time
if "webapi" in sys.orig_argv:
    time.sleep(600)
"""
QUICK = {
    "players_per_match": 1,
    "server": {"arena": {"time_limit_s": 1, "score_limit": 0}},
}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    """A stack of the test's own."""
    with running_stack(tmp_path) as stack:
        yield stack


def alive(state: StackState) -> list[str]:
    """Names of the parts that run, and the game servers'."""
    parts = []
    for program in state.programs:
        with suppress(psutil.NoSuchProcess):
            if servers.is_alive(psutil.Process(program.pid)):
                parts.append(program.name)
    return parts + [f"server {process.pid}" for process in servers.find(state.installation)]


def up_again(stack: Stack) -> Stack:
    """The same stack, started anew in its folder."""
    again = Stack(stack.folder, stack.env, start_up(stack.folder, stack.env))
    again.await_ready()
    return again


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_stops_everything_in_the_middle_of_a_match(own: Stack, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the stack with exit code 0, game servers and Redis included, and say what they did."""
    async with own.visit() as here:
        ticket = await here.post(
            await here.guest(), await here.register({"id": "solo", "players_per_match": 1, "server": {"arena": {}}})
        )
        placed = await here.wait(ticket)
        assert await here.server_processes({placed["match"]})
    state = own.state
    assert len(alive(state)) == 4
    assert await asyncio.to_thread(own.stop, number) == 0
    assert alive(state) == []
    assert not (own.data / "stack.json").exists()
    told = [line for line in own.said().splitlines() if "of game servers" not in line]  # one that was late to stop
    assert told[-2:] == ["muster: stopping", "muster: stopped"]


async def test_accounts_over_tcp_are_at_a_port_of_their_own(tmp_path: Path) -> None:
    """It says where, and who registers there logs in over REST; a misspelt setting is told of at the terminal."""
    with running_stack(tmp_path, MUSTER_STREAM="7") as stack:
        port = int(stack.env["MUSTER_WEBAPI_AUTH_PORT"])

        async def told() -> bool:  # after it has written that it is ready
            return f"muster: accounts over TCP lines: 127.0.0.1:{port}" in stack.said()

        await eventually(told)
        assert "muster: MUSTER_STREAM is no setting, and does nothing: is MUSTER_STREAMS meant?" in stack.said()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        account = {"name": "Ada", "password": "correct horse"}
        writer.write(json.dumps({"type": "register", **account}).encode() + b"\n")
        made = json.loads(await reader.readline())
        writer.close()
        async with stack.visit() as here:
            assert (await here.call("POST", "/v1/login", account))["player"] == made["player"]


async def test_second_run_finds_accounts_and_boards(own: Stack) -> None:
    """What players did before is there after a restart: the account signs in, the board has not moved."""
    account = {"name": "keeper", "password": "a long password"}
    board = "/v1/games/quick/boards/activity?top=5"
    async with own.visit() as here:
        await here.call("POST", "/v1/accounts", account)
        await here.register({"id": "quick", **QUICK})
        await settle([asyncio.create_task(Seat(here, await here.post(await here.guest("ann"), "quick")).play())])

        async def entries() -> Any:
            return (await here.call("GET", board))["entries"]

        before = await eventually(entries)
    await asyncio.to_thread(own.stop)
    again = up_again(own)
    try:
        async with again.visit() as here:
            assert (await here.call("POST", "/v1/login", account))["name"] == "keeper"
            assert (await here.call("GET", board))["entries"] == before
            games = await here.call("GET", "/v1/games")
            assert "'tanks'" not in again.said(), "the built-in games are still ours"
            assert {"tanks", "tanks-10", "quick"} <= {game["id"] for game in games["games"]}
    finally:
        leave_nothing(again)


async def test_crashed_service_is_brought_back(own: Stack) -> None:
    """A killed service runs again, that is told, and the state file knows the new process."""
    before = own.pid("webapi")
    os.kill(before, signal.SIGKILL)

    async def back() -> bool:
        return own.pid("webapi") != before and "webapi runs again" in own.said()

    await eventually(back)
    assert "webapi ended with SIGKILL; starting it again in 0.2 s" in own.said()
    async with own.visit() as here:
        assert await here.call("GET", "/status") == "Server is running !"


async def test_what_a_killed_run_left_is_ended_by_the_next(own: Stack) -> None:
    """After SIGKILL of `muster up` its parts run on; the next run ends them before it starts its own."""
    async with own.visit() as here:
        ticket = await here.post(
            await here.guest(), await here.register({"id": "solo", "players_per_match": 1, "server": {"arena": {}}})
        )
        await here.wait(ticket)
    state = own.state
    own.process.kill()
    own.process.wait()
    assert len(alive(state)) == 4
    again = up_again(own)
    try:
        assert alive(StackState("", "", "other", 0, True, state.programs)) == []
        for name in ("redis", "webapi", "matchmaker"):
            assert f"ending {name} (pid " in again.said()
        async with again.visit() as here:
            assert await here.call("GET", "/v1/games/solo")
    finally:
        leave_nothing(again)


def up_to_its_end(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`muster up` that is expected to refuse."""
    return subprocess.run(
        [sys.executable, "-m", "core.cli", "up"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    "setting",
    [
        "MUSTER_WEBAPI_PORT",
        "MUSTER_WEBAPI_AUTH_PORT",
        "MUSTER_WEBAPI_METRICS_PORT",
        "MUSTER_MATCHMAKER_METRICS_PORT",
        "MUSTER_REDIS_PORT",
    ],
)
def test_taken_port_is_one_line_that_names_the_setting(setting: str, tmp_path: Path) -> None:
    """A taken port is refused with exit code 78 before anything starts: the port, who has it, what to set."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = up_to_its_end(stack_env(tmp_path, **{setting: str(port)}))
    assert done.returncode == 78
    first, refusal = done.stderr.splitlines()
    assert first == "muster: starting"
    assert f"port {port}," in refusal
    assert f"(pid {os.getpid()})" in refusal
    assert refusal.endswith(f"(setting: {setting})")
    assert not (tmp_path / "data" / "stack.json").exists()


def test_second_stack_in_one_folder_says_so(own: Stack) -> None:
    """A second `muster up` in the same folder names the first one's URL and pid, and leaves it alone."""
    done = up_to_its_end(stack_env(own.folder))
    assert done.returncode == 78
    assert f"already runs in {own.data} at {own.url} (pid {own.process.pid})" in done.stderr
    assert len(alive(own.state)) == 3


def test_part_that_cannot_work_ends_the_start(tmp_path: Path) -> None:
    """A service that refuses its settings is quoted, nothing of the others is left, and the exit code is 78."""
    done = up_to_its_end(stack_env(tmp_path, MUSTER_LEASE_S="soon"))
    assert done.returncode == 78
    last = done.stderr.splitlines()[-1]
    assert last == "muster: matchmaker: 'soon' is not a number (setting: MUSTER_LEASE_S)"
    assert not (tmp_path / "data" / "stack.json").exists()


async def test_redis_of_the_user_is_used_and_left_running(tmp_path: Path, redis_url: str) -> None:
    """With REDIS_URL set no Redis is started; the given one serves, and is still there afterwards."""
    with running_stack(tmp_path, REDIS_URL=redis_url) as stack:
        assert stack.redis_url == redis_url
        assert [program.name for program in stack.state.programs] == ["webapi", "matchmaker"]
        async with stack.visit() as here:
            assert (await here.call("GET", "/v1/games/tanks"))["id"] == "tanks"
    assert not (tmp_path / "data" / "redis").exists()
    async with open_database(redis_url) as db:
        assert "tanks" in await db.do("SMEMBERS", keys.GAMES)


def test_redis_that_is_away_is_told(tmp_path: Path) -> None:
    """Where the given Redis does not answer, the start ends with that reason, exit code 1, and nothing runs."""
    done = up_to_its_end(stack_env(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("muster: Redis cannot be reached")
    assert done.stderr.endswith("(setting: REDIS_URL)\n")
    assert not (tmp_path / "data" / "stack.json").exists()


def test_signal_while_starting_stops_it_too(tmp_path: Path) -> None:
    """Ctrl-C before anything answers ends the start, with what it had started."""
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text(SLOW_WEBAPI)
    env = stack_env(tmp_path, PYTHONPATH=f"{slow}{os.pathsep}{ROOT}")
    stack = Stack(tmp_path, env, start_up(tmp_path, env))
    try:
        while '"webapi"' not in (
            (tmp_path / "data" / "stack.json").read_text() if (tmp_path / "data" / "stack.json").exists() else ""
        ):
            assert stack.process.poll() is None
            time.sleep(0.02)
        state = stack.state
        assert stack.stop() == 0
        assert alive(state) == []
        assert "Muster is running" not in stack.said()
    finally:
        leave_nothing(stack)
