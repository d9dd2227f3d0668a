"""The launchers by themselves: real processes, and none at all."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from core.clock import new_id, now_ms
from core.doorbell import open_doorbell
from core.model import Limits, Match, MatchPlayer, Server, Timers
from core.redis.client import Database
from matchmaker.launch.base import LaunchRefused, LaunchRetryable, Seen
from matchmaker.launch.instant import InstantLauncher
from matchmaker.launch.process import ProcessLauncher
from matchmaker.settings import ProcessSettings
from tests.matchmaker.support import match, over, queue, register, spec, status
from tests.support import eventually

SLEEP = f"{sys.executable} -c 'import time; time.sleep(300)'"
# Says that it is there, and will not go for SIGTERM.
STUBBORN = (
    f"{sys.executable} -uc 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    'print("here"); time.sleep(300)\''
)


def a_match(**server: Any) -> Match:
    """A match to launch; its server is the built-in arena unless told otherwise."""
    seats = [MatchPlayer(new_id("player"), "", "players", new_id("ticket"))]
    made = Server(**(server or {"arena": {}}))
    return Match(new_id("match"), "duel", 1, now_ms(), seats, made, Timers(), 3, 30)


@asynccontextmanager
async def launcher(
    folder: Path,
    command: str = SLEEP,
    changed: Callable[[str, str], None] = lambda game, match: None,
    **changes: Any,
) -> AsyncIterator[ProcessLauncher]:
    """A process launcher whose servers are gone at the end."""
    settings = replace(
        ProcessSettings(installation=f"test-{secrets.token_hex(4)}", run_dir=str(folder), server_command=command),
        **changes,
    )
    made = ProcessLauncher(settings, secret="s" * 32, redis_url="redis://nowhere", changed=changed)
    try:
        yield made
    finally:
        for server in (await made.seen()).values():
            if not server.ended:
                os.killpg(server.pid, signal.SIGKILL)
        await made.close(stop_servers=True)


async def ended(made: ProcessLauncher, match: str) -> Seen:
    """What is known of a server once it has ended."""

    async def it_has() -> Seen | None:
        server = (await made.seen()).get(match)
        return server if server and server.ended else None

    return await eventually(it_has)


async def test_start_is_idempotent(tmp_path: Path) -> None:
    """Starting the server of a match twice starts one."""
    async with launcher(tmp_path) as made:
        wanted = a_match()
        await made.start(wanted)
        first = (await made.seen())[wanted.id]
        await made.start(wanted)
        assert (await made.seen())[wanted.id].pid == first.pid
        assert made.room() == ProcessSettings().max_servers - 1


async def test_an_end_is_told_at_once(tmp_path: Path) -> None:
    """When a server ends its match is named, and its exit code and last words are known."""
    told: list[tuple[str, str]] = []
    command = f"{sys.executable} -c 'import sys; print(\"last words\"); sys.exit(7)'"
    async with launcher(tmp_path, command, lambda game, match: told.append((game, match))) as made:
        wanted = a_match()
        await made.start(wanted)
        assert (await ended(made, wanted.id)).exit_code == 7
        assert told == [("duel", wanted.id)]
        assert await made.tail(wanted.id) == ["last words"]


async def test_another_launcher_sees_the_same_servers(tmp_path: Path) -> None:
    """A second matchmaker on the host adopts the servers of the first, starts none again, and sees their end."""
    async with launcher(tmp_path) as first:
        wanted = a_match()
        await first.start(wanted)
        settings = replace(first._settings)
        second = ProcessLauncher(settings, secret="s" * 32, redis_url="redis://nowhere", changed=lambda *_: None)

        async def adopted() -> bool:
            return wanted.id in await second.seen()

        await eventually(adopted)
        assert (await second.seen())[wanted.id].pid == (await first.seen())[wanted.id].pid
        await second.start(wanted)
        assert second.room() == first.room()
        assert second.host == first.host
        await second.stop(wanted.id, 5.0)
        assert (await ended(first, wanted.id)).exit_code == -signal.SIGTERM
        assert (await ended(second, wanted.id)).exit_code is None
        await second.close(stop_servers=False)


async def test_a_stubborn_server_is_killed_after_its_grace(tmp_path: Path) -> None:
    """A server that ignores SIGTERM is killed when its grace is over."""
    async with launcher(tmp_path, STUBBORN) as made:
        wanted = a_match()
        await made.start(wanted)

        async def here() -> bool:
            return await made.tail(wanted.id) == ["here"]

        await eventually(here)
        await made.stop(wanted.id, 0.1)
        await made.stop(wanted.id, 0.1)
        assert (await ended(made, wanted.id)).exit_code == -signal.SIGKILL


async def test_starts_are_bounded(tmp_path: Path) -> None:
    """A start waits while as many as are allowed have not settled; a settled or ended one makes room."""
    async with launcher(tmp_path, starts=1) as made:
        first, second, third = a_match(), a_match(), a_match()
        await made.start(first)
        waiting = asyncio.create_task(made.start(second))
        await asyncio.sleep(0.05)
        assert second.id not in await made.seen()
        made.settled(first.id)
        made.settled(first.id)
        await waiting
        waiting = asyncio.create_task(made.start(third))
        await asyncio.sleep(0.05)
        assert third.id not in await made.seen()
        await made.stop(second.id, 0.1)
        await waiting


async def test_servers_are_bounded(tmp_path: Path) -> None:
    """Where as many servers run as are allowed, another is put off."""
    async with launcher(tmp_path, max_servers=1) as made:
        await made.start(a_match())
        assert made.room() == 0
        with pytest.raises(LaunchRetryable, match="MUSTER_MAX_SERVERS"):
            await made.start(a_match())


@pytest.mark.parametrize(
    ("command", "server", "says"),
    [
        (SLEEP, {"image": "example/game"}, "not images"),
        (SLEEP, {"command": ["serve"]}, "MUSTER_ALLOW_COMMANDS"),
        ("/nonexistent/server", {"arena": {}}, "MUSTER_SERVER_COMMAND"),
        ("/etc/hostname", {"arena": {}}, "MUSTER_SERVER_COMMAND"),
    ],
)
async def test_refused(tmp_path: Path, command: str, server: dict[str, Any], says: str) -> None:
    """What can never be started is refused with the reason, and holds no place."""
    async with launcher(tmp_path, command, starts=1) as made:
        for _ in range(3):
            with pytest.raises(LaunchRefused, match=says):
                await made.start(a_match(**server))
        assert made.room() == ProcessSettings().max_servers


async def test_a_server_is_a_process_of_its_own(tmp_path: Path) -> None:
    """It leads its own session, writes to its log, and has none of our descriptors."""
    leaked = os.dup2(0, 250, inheritable=True)  # as whoever started us may have left one open
    async with launcher(tmp_path) as made:
        wanted = a_match()
        await made.start(wanted)
        os.close(leaked)
        process = psutil.Process((await made.seen())[wanted.id].pid)
        assert os.getsid(process.pid) == process.pid
        numbers = {int(fd) for fd in os.listdir(f"/proc/{process.pid}/fd")}
        assert leaked not in numbers
        files = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)]
        assert files == ["/dev/null", *[str(tmp_path / f"{wanted.id}.log")] * 2]

        async def measured() -> bool:
            return (await made.seen())[wanted.id].rss_bytes > 1_000_000

        await eventually(measured)


async def test_the_instant_launcher(db: Database) -> None:
    """It says to Redis what a server would: ready at once, finished soon after."""
    await register(db, "duel", spec(limits=Limits(tries=1)))
    ticket = await queue(db, "duel")
    wanted = msgspec.structs.replace(a_match(), players=[MatchPlayer("p", "", "players", ticket)])
    token, _, _ = await db.call("lease_take", "muster:{duel}", "test", 60_000, 0)
    document = msgspec.json.encode(wanted)
    await db.call("match_claim", "muster:{duel}", token, now_ms(), now_ms(), 9, wanted.id, document, ticket)
    async with open_doorbell(db) as bell:
        made = InstantLauncher(db, bell)
        await made.start(wanted)
        await status(db, "duel", ticket, "COMPLETED")
        assert (await match(db, "duel", wanted.id))["state"] == "RUNNING"
        assert made.room() < 10_000
        assert (await over(db, "duel", wanted.id))["reason"] == "finished"
        await made.close(stop_servers=True)
